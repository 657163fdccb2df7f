"""The error vocabulary both ends share: an `ErrorReason` with its facts, as an exception and as a status.

The server raises `RemoteWorkersError` and turns it into a `google.rpc.Status`; a client turns the status of a failed
call back into the same error.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from bloge.remote_workers.v1 import error_reason_pb2

DOMAIN = "remote-workers.bloge"
DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata key that gRPC reserves for a serialized `google.rpc.Status`."""

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

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code of a call that is refused for this reason."""
        return _CODES[self]

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


_CODES = {
    Reason.SUPERSEDED: grpc.StatusCode.ABORTED,
    Reason.LEASE_EXPIRED: grpc.StatusCode.ABORTED,
    Reason.OFFER_WITHDRAWN: grpc.StatusCode.ABORTED,
    Reason.CANCELLED: grpc.StatusCode.ABORTED,
    Reason.DEADLINE_PASSED: grpc.StatusCode.ABORTED,
    Reason.DEAD_LETTERED: grpc.StatusCode.ABORTED,
    Reason.ALREADY_DONE_BY_OTHER: grpc.StatusCode.ABORTED,
    Reason.CONFLICTING_REPORT: grpc.StatusCode.ABORTED,
    Reason.INVALID_TOKEN: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.INVALID_FIELD: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.CONTENT_DIFFERS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.BACKLOG_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.WRONG_STATUS: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.FENCED_OFF: grpc.StatusCode.ABORTED,
    Reason.SEQUENCE_MISMATCH: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.PROTOCOL_VIOLATION: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Reason.STORE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.STORE_FULL: grpc.StatusCode.UNAVAILABLE,
    Reason.SERVER_DRAINING: grpc.StatusCode.UNAVAILABLE,
    Reason.UNKNOWN_SCHEMA: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.NOT_IMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


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

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return self.reason.code

    def to_status(self) -> Status:
        """Return the `google.rpc.Status` with `ErrorInfo` and the standard detail of the reason's kind."""
        info = ErrorInfo(reason=self.reason.value, domain=DOMAIN, metadata=dict(self.metadata))
        return Status(
            code=self.code.value[0],
            message=self.message,
            details=[_packed(detail) for detail in (info, *self._standard_details())],
        )

    def _standard_details(self) -> "list[BadRequest | QuotaFailure | RetryInfo]":
        details: list[BadRequest | QuotaFailure | RetryInfo] = []
        if self.fields:
            violations = [
                BadRequest.FieldViolation(field=each.field, description=each.description) for each in self.fields
            ]
            details.append(BadRequest(field_violations=violations))
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            subject = self.metadata.get("worker_topic", "")
            details.append(QuotaFailure(violations=[QuotaFailure.Violation(subject=subject, description=self.message)]))
        if self.retry_delay_seconds is not None:
            delay = Duration()
            delay.FromMicroseconds(int(self.retry_delay_seconds * 1_000_000))
            details.append(RetryInfo(retry_delay=delay))
        return details

    @classmethod
    def from_status(cls, status: Status) -> "RemoteWorkersError":
        """Return the error that a status tells; one without our `ErrorInfo` gets the closest reason for its code."""
        info, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
        has_info = has_retry = False
        for detail in status.details:
            has_info = has_info or detail.Unpack(info)
            detail.Unpack(bad_request)
            has_retry = has_retry or detail.Unpack(retry)
        known = has_info and info.domain == DOMAIN and info.reason in Reason.__members__
        return cls(
            reason=Reason[info.reason] if known else _foreign_reason(status.code),
            message=status.message,
            metadata=dict(info.metadata),
            fields=[FieldViolation(each.field, each.description) for each in bad_request.field_violations],
            retry_delay_seconds=retry.retry_delay.ToMicroseconds() / 1_000_000 if has_retry else None,
        )

    @classmethod
    def from_rpc_error(cls, error: grpc.RpcError) -> "RemoteWorkersError":
        """Return the error that a failed call tells, whether it comes from our server or from gRPC itself."""
        # Both of gRPC's APIs yield (key, value) tuples here, whatever their stubs say.
        trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
        for key, value in trailing:
            if key == DETAILS_KEY and isinstance(value, bytes):
                with suppress(DecodeError):
                    return cls.from_status(Status.FromString(value))
        return cls(reason=_foreign_reason(error.code().value[0]), message=error.details() or error.code().name)


def _packed(detail: "ErrorInfo | BadRequest | QuotaFailure | RetryInfo") -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _foreign_reason(code: int) -> Reason:
    """Return the closest reason for an error that is not ours, such as gRPC's own UNAVAILABLE."""
    status = _BY_NUMBER.get(code, grpc.StatusCode.UNKNOWN)
    return {
        grpc.StatusCode.UNAVAILABLE: Reason.STORE_UNAVAILABLE,
        grpc.StatusCode.INVALID_ARGUMENT: Reason.INVALID_FIELD,
        grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.TOO_LARGE,
        grpc.StatusCode.UNIMPLEMENTED: Reason.NOT_IMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED: Reason.PERMISSION_DENIED,
        grpc.StatusCode.NOT_FOUND: Reason.NOT_FOUND,
    }.get(status, Reason.INTERNAL)
