"""Values as JSON writes them: names, item ids, durations, instants; and the way from each to the wire's."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from google.protobuf.duration_pb2 import Duration as WireDuration
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.names import NAME_RULE, is_name

NAME_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"
ITEM_ID_PATTERN = r"^[A-Za-z0-9._-]{1,128}:[A-Za-z0-9._-]{1,128}$"
_DURATION_PATTERN = r"^P(\d{1,5}D)?(T(\d{1,6}H)?(\d{1,7}M)?(\d{1,9}(\.\d{1,9})?S)?)?$"
_DURATION = re.compile(
    r"P(?=.)(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)S)?)?"
)


def _named(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"must be {NAME_RULE}")
    return text


def parse_duration(value: object) -> timedelta:
    """Return the duration of an ISO 8601 text, for example `PT1M30S`.

    Raises:
        ValueError: it is none, or has years or months, which have no fixed length.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be an ISO 8601 duration of days and smaller, such as PT5M or PT0.5S")
    return timedelta(**{unit: float(number) for unit, number in match.groupdict(default="0").items()})


def parse_instant(value: object) -> datetime:
    """Return the instant of an ISO 8601 text with its time zone.

    Raises:
        ValueError: it is none.
    """
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("must be an instant with its time zone, such as 2026-01-31T12:00:00Z")
    return at


def _at_least_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be more than 0")
    return value


Name = Annotated[
    str,
    AfterValidator(_named),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN}),
]
"""The name of a worker, a topic, an item or a group."""
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["PT5M"]}),
]
"""A duration as ISO 8601 writes it."""
Instant = Annotated[
    datetime,
    BeforeValidator(parse_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant as ISO 8601 writes it."""
PositiveDuration = Annotated[Duration, AfterValidator(_at_least_nothing)]
Text = Annotated[str, Field(min_length=1)]
"""A text that is not empty."""


class ItemId(NamedTuple):
    """What names an item over HTTP: `<worker topic>:<item id>`."""

    worker_topic: str
    item_id: str

    def __str__(self) -> str:
        """Return it as it travels."""
        return f"{self.worker_topic}:{self.item_id}"

    @classmethod
    def parse(cls, text: str, field: str = "itemId") -> "ItemId":
        """Return what a text names.

        Raises:
            RemoteWorkersError: INVALID_FIELD.
        """
        topic, _, item_id = text.partition(":")
        if not is_name(topic) or not is_name(item_id):
            violation = FieldViolation(field, f"must be <worker topic>:<item id>, each {NAME_RULE}, got {text[:80]!r}")
            raise RemoteWorkersError(Reason.INVALID_FIELD, "1 field(s) are not valid", fields=(violation,))
        return cls(topic, item_id)

    def ref(self, namespace: str) -> pb.WorkItemRef:
        """Return it as the wire has it."""
        return pb.WorkItemRef(namespace=namespace, worker_topic=self.worker_topic, item_id=self.item_id)


def to_wire(duration: timedelta) -> WireDuration:
    """Return a duration as the wire has it."""
    message = WireDuration()
    message.FromTimedelta(duration)
    return message


def instant(ms: int | None) -> str | None:
    """Return an instant given in ms since 1970 as ISO 8601 in UTC; None for none."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant_of(stamp: Timestamp) -> str | None:
    """Return an instant of the wire as ISO 8601 in UTC; None for none."""
    return instant(stamp.ToMilliseconds()) if stamp.seconds else None


def to_json(value: object) -> bytes:
    """Return JSON, compact, in UTF-8.

    Raises:
        RemoteWorkersError: INVALID_FIELD if it holds what JSON or UTF-8 cannot.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError) as error:
        raise RemoteWorkersError(Reason.INVALID_FIELD, f"the value cannot be written as JSON: {error}") from error


class Decoded(NamedTuple):
    """Bytes as JSON shows them."""

    value: Any
    """What they say, if they are JSON."""
    base64: str | None
    """They themselves, if not."""


def decoded(data: bytes) -> Decoded:
    """Return bytes as JSON shows them; none at all are null."""
    try:
        return Decoded(json.loads(data, parse_constant=_refuse) if data else None, None)
    except (ValueError, RecursionError):
        return Decoded(None, base64.b64encode(data).decode())


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
