"""Events of journals on their way in and out. Their contents are the encoded message, without what the server adds."""

import json
import re
from collections.abc import Sequence

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_server.domain.execution import ExecutionStatus, StoredEvent
from bloge_server.rpc.fields import Checks, check_size
from bloge_server.rpc.items import timestamp

MAX_BYTES = 3 * 1024 * 1024
"""Most bytes of events in one append."""
GRAPH_COMPLETED = "GRAPH_COMPLETED"
"""The event that ends an execution: the only one that means something to the server."""

_TYPE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_TYPE_CHARS = 64
_NODE_CHARS = 1024
_FIRST_YEAR_9999 = 253_402_300_800


def checked(checks: Checks, events: Sequence[pb.JournalEvent]) -> tuple[list[bytes], ExecutionStatus | None]:
    """Return the contents of events that are to be appended, and how the execution ends if the last one ends it.

    Raises:
        RemoteWorkersError: TOO_LARGE for all of them together.
    """
    checks.batch("events", len(events))
    check_size("events", sum(each.ByteSize() for each in events), MAX_BYTES)
    contents = []
    for index, each in enumerate(events):
        checks.prefix = f"events[{index}]."
        _check(checks, each)
        each.ClearField("sequence")
        each.ClearField("append_time")
        contents.append(each.SerializeToString(deterministic=True))
    ending = None
    for index, each in enumerate(events):
        checks.prefix = f"events[{index}]."
        if each.type == GRAPH_COMPLETED:
            ending = _ending(checks, each)
            if index + 1 < len(events):
                checks.wrong("type", f"{GRAPH_COMPLETED} must be the last event of an execution")
    checks.prefix = ""
    return contents, ending


def event(stored: StoredEvent) -> pb.JournalEvent:
    """Return a stored event in the wire's words."""
    message = pb.JournalEvent.FromString(stored.contents)
    message.sequence = stored.sequence
    at = timestamp(stored.append_ms)
    assert at is not None, "every event has its time"
    message.append_time.CopyFrom(at)
    return message


def _check(checks: Checks, each: pb.JournalEvent) -> None:
    if len(each.type) > _TYPE_CHARS or not _TYPE.fullmatch(each.type):
        checks.wrong(
            "type", f"must be upper-case words joined by `_`, up to {_TYPE_CHARS} characters, got {each.type[:40]!r}"
        )
    checks.text("node_id", each.node_id, _NODE_CHARS)
    if not 0 < each.event_time.seconds < _FIRST_YEAR_9999:
        checks.wrong("event_time", "must say when the event was decided")


def _ending(checks: Checks, each: pb.JournalEvent) -> ExecutionStatus | None:
    try:
        status = ExecutionStatus(json.loads(each.data)["status"])
    except (ValueError, TypeError, KeyError, RecursionError):
        status = None
    if status is None or not status.ended:
        checks.wrong("data", "must be an object whose `status` is COMPLETED, FAILED or CANCELLED")
    return status
