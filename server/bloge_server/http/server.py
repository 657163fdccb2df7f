"""The HTTP server: an address of its own, in the event loop of the gRPC server."""

import asyncio
import contextlib
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from bloge_server import listening

FLAG = "--http-listen"
OFF = "off"
"""The address of a server that is not there."""

_BACKLOG = 512
_GRACE_SECONDS = 1

_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the process has its own, and stops both servers in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpServer:
    """Serves an application until it is stopped.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = _Server(config)
        self._sockets: list[socket.socket] = []
        self._serving: asyncio.Task[None] | None = None

    def listen(self, address: str, *, insecure: bool) -> str:
        """Open the address; return it with the port that was given. Connections wait until `start`.

        Args:
            address: `host:port`, port 0 for any free one, or `unix:/path`.
            insecure: whether an address is allowed that others than this machine reach.

        Raises:
            StartupError: the port is taken, or the address would serve strangers without identity.
        """
        listening.refuse_strangers(FLAG, address, insecure=insecure)
        try:
            opened = _unix_socket(address) if address.startswith("unix:") else _tcp_socket(address)
        except OSError as error:
            raise listening.taken(FLAG, address) from error
        self._sockets.append(opened)
        if address.startswith("unix:"):
            return address
        return f"{address.rpartition(':')[0]}:{opened.getsockname()[1]}"

    def start(self) -> None:
        """Serve what was listened for."""
        self._serving = asyncio.create_task(self._server.serve(self._sockets))
        self._serving.add_done_callback(_tell_failure)

    async def stop(self) -> None:
        """Take no new requests, give those that run a second, and end."""
        self._server.should_exit = True
        if self._serving is not None:
            with suppress(Exception):  # told when it happened
                await self._serving
        for each in self._sockets:
            each.close()


def _tcp_socket(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)


def _unix_socket(address: str) -> socket.socket:
    """Open a unix socket; one that an earlier server left is replaced, as gRPC does."""
    path = Path(address.removeprefix("unix:"))
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        path.unlink()
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.bind(str(path))
    opened.listen(_BACKLOG)
    return opened


def _tell_failure(serving: "asyncio.Task[None]") -> None:
    if not serving.cancelled() and (error := serving.exception()) is not None:
        _log.error("the HTTP server broke", exc_info=error)
