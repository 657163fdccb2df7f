"""Values as people read them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import work_item_pb2 as pb

NOTHING = "\N{EN DASH}"
_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))
_SHOWN_BYTES = 200_000
"""More of a payload is not shown: a page stays quick to load."""
_KIB = 1024


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"


def duration(ms: float) -> str:
    """Return a span in its two largest units: `2 h 5 min`."""
    if ms < 1000:  # noqa: PLR2004 - a second
        return f"{max(0, round(ms))} ms"
    if ms < 10_000:  # noqa: PLR2004 - ten seconds: one decimal place tells something
        return f"{ms / 1000:.1f} s"
    for index, (unit, name) in enumerate(_UNITS):
        if ms >= unit:
            whole, rest = divmod(int(ms), unit)
            smaller, smaller_name = _UNITS[min(index + 1, len(_UNITS) - 1)]
            part = rest // smaller if index + 1 < len(_UNITS) else 0
            return f"{whole} {name} {part} {smaller_name}" if part else f"{whole} {name}"
    raise AssertionError("a second is the smallest unit")


def instant(ms: int) -> str:
    """Return an instant to the second, in UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(ms: int) -> str:
    """Return an instant as machines read it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def size(number: int) -> str:
    """Return a number of bytes."""
    if number < _KIB:
        return f"{number} B"
    return f"{number / _KIB:.1f} KiB" if number < _KIB * _KIB else f"{number / _KIB / _KIB:.1f} MiB"


def words(name: str) -> str:
    """Return an enum's name as words: `retry wait`."""
    return name.replace("_", " ").lower()


def plural(number: int, word: str) -> str:
    """Return a counted word: `1 item`, `2 items`."""
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def document(data: bytes) -> str:
    """Return JSON indented, other text as it is, other bytes as hexadecimal digits; cut where it is very long."""
    if len(data) > _SHOWN_BYTES:
        return f"{_plain(data[:_SHOWN_BYTES])}\n… {size(len(data))} altogether"
    try:
        return json.dumps(json.loads(data), indent=2, ensure_ascii=False)
    except ValueError:
        return _plain(data)


def compact(value: object) -> str:
    """Return JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def _plain(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex(" ", 2)


def ms_of(at: Timestamp) -> int:
    """Return an instant in ms since 1970."""
    return at.ToMilliseconds()


def span_of(length: Duration) -> int:
    """Return a duration in ms."""
    return length.ToMilliseconds()


def status_of(status: pb.WorkItemStatus.ValueType) -> str:
    """Return a status as the contract names it."""
    return _named(pb.WorkItemStatus, status, "WORK_ITEM_STATUS_")


def reason_of(reason: pb.DeadLetterReason.ValueType) -> str:
    """Return a dead letter's reason; empty for none."""
    return _named(pb.DeadLetterReason, reason, "DEAD_LETTER_REASON_") if reason else ""


def end_of(end: pb.AttemptEnd.ValueType) -> str:
    """Return how an attempt ended; empty if it has not."""
    return _named(pb.AttemptEnd, end, "ATTEMPT_END_") if end else ""


def outcome_of(kind: pb.OutcomeKind.ValueType) -> str:
    """Return an outcome's kind."""
    return _named(pb.OutcomeKind, kind, "OUTCOME_KIND_")


def _named(enum: Any, number: int, prefix: str) -> str:  # noqa: ANN401 - protobuf's enums share no type
    known = enum.DESCRIPTOR.values_by_number.get(number)
    return known.name.removeprefix(prefix) if known else str(number)


FILTERS: dict[str, Callable[..., str]] = {
    "count": count,
    "duration": duration,
    "instant": instant,
    "iso": iso,
    "size": size,
    "words": words,
    "document": document,
}
"""What templates call."""
