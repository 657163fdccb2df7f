"""The edge of every call: errors become statuses, and whatever was not foreseen is logged and told as INTERNAL."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.status import CODES, DETAILS_KEY, to_status

_log = structlog.get_logger(__name__)

_Service = TypeVar("_Service")
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


async def refuse(context: _Context, error: RemoteWorkersError) -> NoReturn:
    """End a call with the status of an error."""
    if error.reason is Reason.INTERNAL:
        _log.error("call failed", error=str(error), exc_info=error.__cause__)
    details = to_status(error).SerializeToString()
    await context.abort(CODES[error.reason], error.message, ((DETAILS_KEY, details),))
    raise AssertionError("abort raises")


def _readable(request: _Request) -> _Request:
    """Return a request; what stands in the place of one that could not be read is its refusal.

    Raises:
        RemoteWorkersError: that refusal.
    """
    if isinstance(request, RemoteWorkersError):
        raise request
    return request


async def refuse_unforeseen(context: _Context, method: str, error: Exception, request: object = None) -> NoReturn:
    """End a call that broke on a defect of ours: the log has the facts, the caller only that it happened."""
    _log.error("call failed", method=method, exc_info=error, **_focus(request))
    await refuse(context, RemoteWorkersError(Reason.INTERNAL, f"{method} failed on the server; its log says why"))


def _focus(request: object) -> dict[str, str]:
    """Return what a request is about, if that is one item, topic or worker."""
    about = getattr(request, "item", request)
    found = {name: getattr(about, name, "") for name in ("namespace", "worker_topic", "item_id", "worker_id")}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def unary(
    method: Callable[[_Service, _Request], Awaitable[_Response]],
) -> Callable[[_Service, _Request, _Context], Awaitable[_Response]]:
    """Make a servicer method of one that takes a request, returns a response and raises our errors."""

    @functools.wraps(method)
    async def call(self: _Service, request: _Request, context: _Context) -> _Response:
        try:
            return await method(self, _readable(request))
        except RemoteWorkersError as error:
            await refuse(context, error)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass it unexplained
            await refuse_unforeseen(context, method.__qualname__, error, request)

    return call


def stream(
    method: Callable[[_Service, AsyncIterator[_Request]], AsyncIterator[_Response]],
) -> Callable[[_Service, AsyncIterator[_Request], _Context], AsyncIterator[_Response]]:
    """Make a servicer method of an async generator that takes frames, yields frames and raises our errors."""

    @functools.wraps(method)
    async def call(self: _Service, requests: AsyncIterator[_Request], context: _Context) -> AsyncIterator[_Response]:
        frames = method(self, requests)
        try:
            async for frame in frames:
                yield frame
        except RemoteWorkersError as error:
            await refuse(context, error)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass it unexplained
            await refuse_unforeseen(context, method.__qualname__, error)

    return call


def stream_response(
    method: Callable[[_Service, _Request], AsyncIterator[_Response]],
) -> Callable[[_Service, _Request, _Context], AsyncIterator[_Response]]:
    """Make a servicer method of an async generator that takes one request, yields frames and raises our errors."""

    @functools.wraps(method)
    async def call(self: _Service, request: _Request, context: _Context) -> AsyncIterator[_Response]:
        try:
            async for frame in method(self, _readable(request)):
                yield frame
        except RemoteWorkersError as error:
            await refuse(context, error)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass it unexplained
            await refuse_unforeseen(context, method.__qualname__, error, request)

    return call


class InProcess:
    """The calls of servicers for whoever is in the same process: the same checks and effects, our errors as they are.

    Args:
        servicers: whose methods these are; their names differ.
    """

    def __init__(self, *servicers: object) -> None:
        self._servicers = servicers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a call: it takes the request alone."""
        for servicer in self._servicers:
            if (method := getattr(type(servicer), name, None)) is not None:
                return functools.partial(getattr(method, "__wrapped__", method), servicer)
        raise AttributeError(name)
