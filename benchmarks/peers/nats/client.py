"""The client of NATS JetStream."""

import asyncio
import json
from collections.abc import Sequence

import nats
import uvloop

from benchmarks.peers.contract import Surroundings, payload, serve
from benchmarks.peers.nats.worker import DONE, streams

_IN_FLIGHT = 500


class NatsClient:
    """Publishes with acknowledgement, and hears results as they are stored.

    Args:
        connection: to the broker.
    """

    def __init__(self, connection: "nats.NATS") -> None:
        self._connection = connection
        self._stream = connection.jetstream(publish_async_max_pending=4000)
        self._asked: dict[str, asyncio.Future[object]] = {}

    async def listen(self) -> None:
        """Hear results from now on."""
        await self._connection.subscribe("done.*", cb=self._take)

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Publish with many acknowledgements outstanding."""
        for start in range(0, len(ids), _IN_FLIGHT):
            pending = [
                await self._stream.publish_async("work", json.dumps(payload(each)).encode())
                for each in ids[start : start + _IN_FLIGHT]
            ]
            await asyncio.gather(*pending)

    async def ask(self, item_id: str) -> object:
        """Publish one job, and wait for its result."""
        asked = self._asked[item_id] = asyncio.get_running_loop().create_future()
        await self._stream.publish("work", json.dumps(payload(item_id)).encode())
        return await asked

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        message = await self._stream.get_last_msg(DONE, f"done.{item_id}")
        return json.loads(message.data or b"null")

    async def _take(self, message: "nats.aio.msg.Msg") -> None:
        asked = self._asked.pop(message.subject.removeprefix("done."), None)
        if asked is not None:
            asked.set_result(json.loads(message.data))


async def main() -> None:
    """Serve until standard input ends."""
    connection = await nats.connect(Surroundings.read().store)
    await streams(connection)
    client = NatsClient(connection)
    await client.listen()
    await serve(client, ["nats-py"])


if __name__ == "__main__":
    uvloop.run(main())
