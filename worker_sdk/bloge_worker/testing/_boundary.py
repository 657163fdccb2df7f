"""The edge of the fake control plane's calls: errors become statuses."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar

import grpc

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.status import CODES, DETAILS_KEY, to_status

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def refuse(context: grpc.ServicerContext, error: RemoteWorkersError) -> NoReturn:
    """End a call with the status of an error."""
    context.set_trailing_metadata(((DETAILS_KEY, to_status(error).SerializeToString()),))
    context.abort(CODES[error.reason], error.message)
    raise AssertionError("abort raises")


def unary(
    method: Callable[[Any, _Request], _Response],
) -> Callable[[Any, _Request, grpc.ServicerContext], _Response]:
    """Make a servicer method of one that takes a request, returns a response and raises our errors."""

    @wraps(method)
    def call(self: Any, request: _Request, context: grpc.ServicerContext) -> _Response:  # noqa: ANN401 - a servicer
        try:
            return method(self, request)
        except RemoteWorkersError as error:
            refuse(context, error)

    return call
