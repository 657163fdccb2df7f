"""Errors as HTTP tells them: one body for all, whatever refused the request."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bloge.remote_workers.errors import Reason, RemoteWorkersError

_log = structlog.get_logger(__name__)

_CONFLICT = 409
INVALID_STATE = (_CONFLICT, "INVALID_STATE")
STATUSES = {
    Reason.INVALID_FIELD: (400, "VALIDATION_FAILED"),
    Reason.TOO_LARGE: (413, "VALIDATION_FAILED"),
    Reason.PROTOCOL_VIOLATION: (400, "VALIDATION_FAILED"),
    Reason.NOT_FOUND: (404, "NOT_FOUND"),
    Reason.CONTENT_DIFFERS: (_CONFLICT, "CONFLICT"),
    Reason.FENCED_OFF: (_CONFLICT, "CONFLICT"),
    Reason.SEQUENCE_MISMATCH: (_CONFLICT, "CONFLICT"),
    Reason.UNAUTHENTICATED: (401, "ACCESS_DENIED"),
    Reason.PERMISSION_DENIED: (403, "ACCESS_DENIED"),
    Reason.BACKLOG_FULL: (429, "BACKLOG_FULL"),
    Reason.STORE_UNAVAILABLE: (503, "RUNTIME_UNAVAILABLE"),
    Reason.STORE_FULL: (503, "RUNTIME_UNAVAILABLE"),
    Reason.SERVER_DRAINING: (503, "RUNTIME_UNAVAILABLE"),
    Reason.UNKNOWN_SCHEMA: (503, "RUNTIME_UNAVAILABLE"),
    Reason.NOT_IMPLEMENTED: (501, "UNSUPPORTED"),
    Reason.INTERNAL: (500, "INTERNAL_ERROR"),
}
"""Status and `errorCode` by reason; every other one is INVALID_STATE: the item stands elsewhere."""

_CODES = {
    400: "VALIDATION_FAILED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "VALIDATION_FAILED",
    415: "UNSUPPORTED_MEDIA_TYPE",
}
"""`errorCode` of what is refused before a handler sees it, by status; all others are VALIDATION_FAILED."""


def answer(request: Request, status: int, code: str, message: str, details: Sequence[str] = ()) -> JSONResponse:
    """Return the answer that tells what is wrong.

    Args:
        request: the one that is refused.
        status: the HTTP status.
        code: what kind of refusal it is, for programs.
        message: the cause and the fix, for people.
        details: a line for each field that is wrong.
    """
    return JSONResponse(_body(request, status, code, message, details), status)


def refusal(request: Request, error: Exception) -> Response:
    """Return the answer that tells one of our errors, with its reason."""
    assert isinstance(error, RemoteWorkersError)
    if error.reason is Reason.INTERNAL:
        _log.error("request failed", path=request.url.path, error=str(error), exc_info=error.__cause__)
    status, code = STATUSES.get(error.reason, INVALID_STATE)
    body = _body(request, status, code, error.message, [f"{each.field}: {each.description}" for each in error.fields])
    headers = None
    if error.retry_delay_seconds is not None:
        headers = {"Retry-After": str(max(1, round(error.retry_delay_seconds)))}
    return JSONResponse({**body, "reason": error.reason.value}, status, headers)


def _rejection(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = answer(request, error.status_code, _CODES.get(error.status_code, "VALIDATION_FAILED"), error.detail)
    response.headers.update(error.headers or {})
    return response


def _failure(request: Request, _error: Exception) -> Response:
    """Return what the caller learns of a defect of ours: that it happened; the log has the facts."""
    return answer(request, 500, "INTERNAL_ERROR", "the request failed on the server; its log says why")


def _body(request: Request, status: int, code: str, message: str, details: Sequence[str]) -> dict[str, object]:
    now: float = request.app.state.clock()
    return {
        "errorCode": code,
        "message": message,
        "status": status,
        "timestamp": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
        "path": request.url.path,
        "details": list(details),
    }


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Response]] = {
    RemoteWorkersError: refusal,
    HTTPException: _rejection,
    Exception: _failure,
}
"""What answers for whatever a handler raises."""
