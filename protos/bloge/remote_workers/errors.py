"""The error vocabulary both ends share: why something was refused, with its facts.

`status` turns these errors into a `google.rpc.Status` and back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bloge.remote_workers.v1 import error_reason_pb2

DOMAIN = "remote-workers.bloge"
"""The `ErrorInfo.domain` of every reason below."""

_PREFIX = "ERROR_REASON_"


class Reason(StrEnum):
    """`ErrorReason` without its prefix; the proto says what each one means."""

    SUPERSEDED = "SUPERSEDED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    OFFER_WITHDRAWN = "OFFER_WITHDRAWN"
    CANCELLED = "CANCELLED"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    DEAD_LETTERED = "DEAD_LETTERED"
    ALREADY_DONE_BY_OTHER = "ALREADY_DONE_BY_OTHER"
    CONFLICTING_REPORT = "CONFLICTING_REPORT"
    INVALID_TOKEN = "INVALID_TOKEN"
    NOT_FOUND = "NOT_FOUND"
    INVALID_FIELD = "INVALID_FIELD"
    TOO_LARGE = "TOO_LARGE"
    CONTENT_DIFFERS = "CONTENT_DIFFERS"
    BACKLOG_FULL = "BACKLOG_FULL"
    WRONG_STATUS = "WRONG_STATUS"
    FENCED_OFF = "FENCED_OFF"
    SEQUENCE_MISMATCH = "SEQUENCE_MISMATCH"
    PROTOCOL_VIOLATION = "PROTOCOL_VIOLATION"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    STORE_FULL = "STORE_FULL"
    SERVER_DRAINING = "SERVER_DRAINING"
    UNKNOWN_SCHEMA = "UNKNOWN_SCHEMA"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    INTERNAL = "INTERNAL"

    @property
    def number(self) -> error_reason_pb2.ErrorReason.ValueType:
        """The value of the proto enum."""
        return error_reason_pb2.ErrorReason.Value(f"{_PREFIX}{self.value}")

    @classmethod
    def from_number(cls, number: int) -> "Reason | None":
        """Return the reason of a proto enum value; None for UNSPECIFIED, INTERNAL for one of a later release."""
        if number == error_reason_pb2.ERROR_REASON_UNSPECIFIED:
            return None
        try:
            name = error_reason_pb2.ErrorReason.Name(error_reason_pb2.ErrorReason.ValueType(number))
        except ValueError:
            return cls.INTERNAL
        return cls(name.removeprefix(_PREFIX))


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field that is not as it should be, and how to mend it."""

    field: str
    """Path from the request's root, for example `items[3].priority`."""
    description: str
    """What is wrong and what is allowed."""


@dataclass(eq=False)
class RemoteWorkersError(Exception):
    """A refused call, or a refused item of a batch."""

    reason: Reason
    """Stable and machine-readable; None of the text is."""
    message: str
    """For people: the cause and the fix."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Facts that belong to the reason."""
    fields: Sequence[FieldViolation] = ()
    """INVALID_FIELD: every field that is wrong."""
    retry_delay_seconds: float | None = None
    """Set where a retry can help: how long to wait first."""

    def __str__(self) -> str:
        """Return reason and message, then each field on its own."""
        listed = "".join(f"; {each.field}: {each.description}" for each in self.fields)
        return f"{self.reason}: {self.message}{listed}"
