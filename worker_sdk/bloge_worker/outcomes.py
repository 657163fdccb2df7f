"""Turns what a handler returned or raised into the report that the server gets."""

import logging
import traceback
from dataclasses import dataclass
from typing import Any

from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge_worker._durations import duration_of
from bloge_worker._payload import encode_json
from bloge_worker.errors import BusinessError, PayloadError, Reject, Release, RetryLater

Report = lease_pb2.CompleteReport | lease_pb2.FailReport | lease_pb2.ReleaseReport
"""How a run ends."""

_NAME_LIMIT, _MESSAGE_LIMIT, _TRACEBACK_LIMIT, _REASON_LIMIT = 256, 4 * 1024, 16 * 1024, 256
_DETAILS_LIMIT = 64 * 1024
_NOT_JSON = (TypeError, ValueError, RecursionError)

_log = logging.getLogger("bloge_worker")


@dataclass(frozen=True, slots=True)
class GraphCancelled:
    """Returned by the owner of an execution (an EXECUTE_GRAPH item) whose cancellation is complete."""

    output: Any = None
    """JSON-able output; for a `raw` handler bytes."""


def report_output(token: str, value: object, *, raw: bool, limit: int) -> Report:
    """Report what a handler returned.

    Args:
        token: the lease token.
        value: JSON-able, or bytes from a `raw` handler. What is not becomes a failure `OutputNotSerializable`.
        raw: True: bytes are the output as they are.
        limit: the server's payload limit in bytes. A larger output becomes a failure `OutputTooLarge`.
    """
    cancelled = type(value) is GraphCancelled
    if cancelled:
        value = value.output  # type: ignore[attr-defined]  # the line above says what it is
    try:
        output = value if raw and isinstance(value, bytes) else encode_json(value)
    except _NOT_JSON as error:
        return report_failure(token, "OutputNotSerializable", f"the handler's output is not JSON: {error}", final=True)
    if len(output) > limit:
        message = f"the output has {len(output)} bytes, the server takes {limit}; store it elsewhere and return where"
        return report_failure(token, "OutputTooLarge", message, final=True)
    return lease_pb2.CompleteReport(lease_token=token, output=output, cancelled=cancelled)


def report_error(token: str, error: BaseException) -> Report:
    """Report what a handler raised."""
    match error:
        case Release():
            return report_release(token, error.delay, error.reason)
        case BusinessError():
            return lease_pb2.FailReport(lease_token=token, business_error=_business_error(error))
        case Reject():
            return report_failure(token, "Rejected", error.reason, final=True)
        case RetryLater():
            report = report_failure(token, "RetryLater", error.reason)
            report.failure.retry_after.CopyFrom(duration_of(error.delay))
            return report
        case PayloadError():
            return report_failure(token, "InvalidInput", str(error), final=True)
        case _:
            return report_failure(token, type(error).__name__, _text(error), trace=_traceback(error))


def report_failure(
    token: str, kind: str, message: str, *, final: bool = False, trace: str = ""
) -> lease_pb2.FailReport:
    """Report a technical failure; `final` means that a retry is useless."""
    failure = work_item_pb2.Failure(
        type=_cut(kind, _NAME_LIMIT) or "Error",
        message=_cut(message, _MESSAGE_LIMIT),
        traceback=trace,
        non_retryable=final,
    )
    return lease_pb2.FailReport(lease_token=token, failure=failure)


def report_release(token: str, delay: float, reason: str, *, draining: bool = False) -> lease_pb2.ReleaseReport:
    """Hand an item back, due again in `delay` seconds."""
    return lease_pb2.ReleaseReport(
        lease_token=token, delay=duration_of(delay), reason=_cut(reason, _REASON_LIMIT), draining=draining
    )


def _business_error(error: BusinessError) -> work_item_pb2.BusinessError:
    message, details = error.message, b""
    try:
        details = b"" if error.details is None else encode_json(error.details)
    except _NOT_JSON as cause:
        message = f"{message} (details left out: not JSON: {cause})"
    if len(details) > _DETAILS_LIMIT:
        message = f"{message} (details left out: {len(details)} bytes, at most {_DETAILS_LIMIT})"
        details = b""
    if message != error.message:
        _log.warning("business error %s: %s", error.code, message)
    return work_item_pb2.BusinessError(
        code=_cut(error.code, _NAME_LIMIT) or "UNSPECIFIED", message=_cut(message, _MESSAGE_LIMIT), details=details
    )


def _traceback(error: BaseException) -> str:
    """Return the end of the traceback, which names the cause, without the SDK's own first frame."""
    trace = error.__traceback__
    try:
        lines = traceback.format_exception(type(error), error, trace.tb_next if trace else None)
    except Exception:  # noqa: BLE001 - an exception may be odd in many ways, and the report must go out
        lines = []
    return _cut("".join(lines)[-_TRACEBACK_LIMIT:], _TRACEBACK_LIMIT, keep_end=True)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unprintable:  # noqa: BLE001 - a user's __str__ may raise anything, and the report must go out
        return f"(its text cannot be had: {type(unprintable).__name__})"


def _cut(text: str, limit: int, *, keep_end: bool = False) -> str:
    """Cut to `limit` bytes of UTF-8, whole characters only; what UTF-8 cannot carry is replaced."""
    data = text.encode("utf-8", "replace")
    return (data[-limit:] if keep_end else data[:limit]).decode("utf-8", "ignore")
