"""Messages cut into requests that a server takes."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message

_Message = TypeVar("_Message", bound=Message)


def batches(messages: Iterable[_Message], most: int, most_bytes: int) -> Iterator[list[_Message]]:
    """Yield messages in order, in parts that are small enough; one that is too large alone is for the server to refuse.

    Args:
        messages: Any number.
        most: Of them in a part.
        most_bytes: Of a part.

    """
    batch: list[_Message] = []
    size = 0
    for message in messages:
        weight = message.ByteSize()
        if batch and (len(batch) == most or size + weight > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += weight
    if batch:
        yield batch
