"""Where the events of an execution are recorded, and how they travel."""

import json
from collections.abc import Sequence
from typing import Protocol

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_orchestrator.execution.events import Event, EventError, NodeEvent, event_from_json
from bloge_orchestrator.execution.values import encoded

BATCH_EVENTS = 500
"""Events of one append."""

BATCH_BYTES = 2_500_000
"""Bytes of one append: below the server's limit of 3 MiB, whatever the framing adds. One event may be larger alone."""


class Journal(Protocol):
    """Takes the events of one execution, in order."""

    async def append(self, events: Sequence[Event]) -> None:
        """Record events, in this order. Nothing is done about them before this returns.

        If the process dies meanwhile, any number of the first ones may be recorded; the rest are not.
        """


def to_message(event: Event) -> pb.JournalEvent:
    """Give an event as it travels; the server adds its number."""
    message = pb.JournalEvent(type=event.TYPE, data=encoded(event.data()))
    if isinstance(event, NodeEvent):
        message.node_id = event.node_id
    message.event_time.FromMilliseconds(event.at_ms)
    return message


def from_message(message: pb.JournalEvent) -> Event:
    """Read an event off the wire.

    Raises:
        EventError: If this version does not know it.

    """
    try:
        data = json.loads(message.data)
    except ValueError as error:
        raise EventError(f"event {message.sequence} is not JSON: {error}") from error
    return event_from_json(
        {
            "sequence": message.sequence,
            "type": message.type,
            "atMs": message.event_time.ToMilliseconds(),
            "nodeId": message.node_id,
            "data": data,
        }
    )
