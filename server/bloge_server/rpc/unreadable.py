"""Bytes that are no message are refused like any other wrong request: gRPC would log a traceback and say UNKNOWN."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError

from bloge.remote_workers.errors import Reason, RemoteWorkersError

_OURS = "/bloge."
"""Health checks and reflection are other people's services, and have edges of their own."""

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Handler: TypeAlias = "grpc.RpcMethodHandler[_Request, _Response]"


class UnreadableRequests(grpc.aio.ServerInterceptor):
    """Has our services learn what could not be read.

    A stream of requests raises the refusal in its place; a single request is the refusal, which `boundary` looks for.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, _Handler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["_Handler[_Request, _Response] | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler[_Request, _Response] | None":
        """Return the handler of a method, with a reader that does not fail."""
        method = str(handler_call_details.method)
        if (known := self._handlers.get(method)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(_OURS):
            return handler
        self._handlers[method] = _forgiving(handler, method.rpartition("/")[2])
        return self._handlers[method]


def _forgiving(handler: Any, method: str) -> "_Handler[Any, Any]":  # noqa: ANN401 - its kind decides what it holds
    deserialize, serialize = handler.request_deserializer, handler.response_serializer

    def read(data: bytes) -> object:
        try:
            return deserialize(data)
        except DecodeError as error:
            refusal = RemoteWorkersError(Reason.PROTOCOL_VIOLATION, f"{method} was sent what is no message: {error}")
        if handler.request_streaming:
            raise refusal
        return refusal

    if handler.request_streaming:
        return grpc.stream_stream_rpc_method_handler(handler.stream_stream, read, serialize)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(handler.unary_stream, read, serialize)
    return grpc.unary_unary_rpc_method_handler(handler.unary_unary, read, serialize)
