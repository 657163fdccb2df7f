"""Turns what gRPC raises into errors that a caller can act on."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from bloge.remote_workers.status import DETAILS_KEY, from_rpc_error
from bloge_orchestrator.errors import ControlPlaneUnreachableError

_UNREACHABLE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})

_GRPC_PREAMBLE = re.compile(r".*(?:error: |remote host: )")
"""What gRPC says before it comes to the point."""


@contextmanager
def told(address: str) -> Iterator[None]:
    """Turn what a call raises into what `ControlPlane` raises.

    Args:
        address: Where the server is.

    Raises:
        RemoteWorkersError: If the call is refused.
        ControlPlaneUnreachableError: If nobody answers.

    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        refusal = from_rpc_error(error)
        # A server that is there says itself, with details, that its store is not.
        if error.code() in _UNREACHABLE and not refusal.metadata and refusal.retry_delay_seconds is None:
            details = error.details() or error.code().name
            raise ControlPlaneUnreachableError(address, _GRPC_PREAMBLE.sub("", details)) from error
        if error.code() is grpc.StatusCode.UNIMPLEMENTED and DETAILS_KEY not in dict(error.trailing_metadata() or ()):
            raise ControlPlaneUnreachableError(address, "what answers there is no bloge-server") from error
        raise refusal from error
