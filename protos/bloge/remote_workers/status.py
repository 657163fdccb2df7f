"""Turns `RemoteWorkersError` into a `google.rpc.Status` and a failed call back into the error it tells."""

from collections.abc import Iterable
from contextlib import suppress
from typing import cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from bloge.remote_workers.errors import DOMAIN, FieldViolation, Reason, RemoteWorkersError

DETAILS_KEY = "grpc-status-details-bin"
"""The trailing metadata key that gRPC reserves for a serialized `google.rpc.Status`."""

CODES = {
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
    Reason.UNKNOWN_SCHEMA: grpc.StatusCode.UNAVAILABLE,
    Reason.NOT_IMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""The status code of a call that is refused for each reason."""

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
_FOREIGN = {
    grpc.StatusCode.UNAVAILABLE: Reason.STORE_UNAVAILABLE,
    grpc.StatusCode.INVALID_ARGUMENT: Reason.INVALID_FIELD,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Reason.TOO_LARGE,
    grpc.StatusCode.UNIMPLEMENTED: Reason.NOT_IMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED: Reason.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Reason.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND: Reason.NOT_FOUND,
}


def to_status(error: RemoteWorkersError) -> Status:
    """Return the status of a refusal: its `ErrorInfo` and the standard detail of its kind."""
    info = ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=dict(error.metadata))
    return Status(
        code=CODES[error.reason].value[0],
        message=error.message,
        details=[_packed(detail) for detail in (info, *_standard_details(error))],
    )


def from_status(status: Status) -> RemoteWorkersError:
    """Return the error that a status tells; one without our `ErrorInfo` gets the closest reason for its code."""
    info, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
    has_info = has_retry = False
    for detail in status.details:
        has_info = has_info or detail.Unpack(info)
        detail.Unpack(bad_request)
        has_retry = has_retry or detail.Unpack(retry)
    known = has_info and info.domain == DOMAIN and info.reason in Reason.__members__
    return RemoteWorkersError(
        reason=Reason[info.reason] if known else _foreign_reason(status.code),
        message=status.message,
        metadata=dict(info.metadata),
        fields=[FieldViolation(each.field, each.description) for each in bad_request.field_violations],
        retry_delay_seconds=retry.retry_delay.ToMicroseconds() / 1_000_000 if has_retry else None,
    )


def from_rpc_error(error: grpc.RpcError) -> RemoteWorkersError:
    """Return the error that a failed call tells, whether it comes from our server or from gRPC itself."""
    # Both of gRPC's APIs yield (key, value) tuples here, whatever their stubs say.
    trailing = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            with suppress(DecodeError):
                return from_status(Status.FromString(value))
    return RemoteWorkersError(_foreign_reason(error.code().value[0]), error.details() or error.code().name)


def _standard_details(error: RemoteWorkersError) -> list[BadRequest | QuotaFailure | RetryInfo]:
    details: list[BadRequest | QuotaFailure | RetryInfo] = []
    if error.fields:
        violations = [
            BadRequest.FieldViolation(field=each.field, description=each.description) for each in error.fields
        ]
        details.append(BadRequest(field_violations=violations))
    if CODES[error.reason] is grpc.StatusCode.RESOURCE_EXHAUSTED:
        violation = QuotaFailure.Violation(subject=error.metadata.get("worker_topic", ""), description=error.message)
        details.append(QuotaFailure(violations=[violation]))
    if error.retry_delay_seconds is not None:
        delay = Duration()
        delay.FromMicroseconds(int(error.retry_delay_seconds * 1_000_000))
        details.append(RetryInfo(retry_delay=delay))
    return details


def _packed(detail: ErrorInfo | BadRequest | QuotaFailure | RetryInfo) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _foreign_reason(code: int) -> Reason:
    """Return the closest reason for an error that is not ours, such as gRPC's own UNAVAILABLE."""
    return _FOREIGN.get(_BY_NUMBER.get(code, grpc.StatusCode.UNKNOWN), Reason.INTERNAL)
