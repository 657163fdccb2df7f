"""A small page for liveness and readiness probes, and for scrapes of metrics. It has a thread of its own."""

import json
import logging
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import ClassVar, NamedTuple, Protocol

from bloge_worker.errors import ConfigError
from bloge_worker.stats import WorkerStats

_POLL_SECONDS = 0.1
"""How soon the thread notices that it is to end."""
_SOCKET_TIMEOUT = 10.0
"""Seconds after which a caller that says nothing is left."""
_JSON, _TEXT = "application/json", "text/plain; version=0.0.4; charset=utf-8"

_log = logging.getLogger("bloge_worker")


class Watched(Protocol):
    """The worker that the page is about."""

    @property
    def healthy(self) -> bool:
        """True if the server was heard from lately."""

    def stats(self) -> WorkerStats:
        """Return the counters so far."""


class Page(NamedTuple):
    """One answer."""

    status: HTTPStatus
    content_type: str
    body: bytes


class HealthServer:
    """Serves `/livez`, `/readyz` and `/metrics` from when it is made until it is closed.

    Args:
        worker: what to tell about.
        host: address to listen on.
        port: port to listen on; 0: any free one.

    Raises:
        ConfigError: the port cannot be listened on.
    """

    def __init__(self, worker: Watched, host: str, port: int) -> None:
        pages = {
            "/livez": lambda: _alive(worker),
            "/readyz": lambda: _ready(worker),
            "/metrics": lambda: _metrics(worker),
        }
        handler = type("Handler", (_Handler,), {"pages": pages, "timeout": _SOCKET_TIMEOUT})
        try:
            self._server = _Server(host, port, handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"health_port: cannot listen on {host}:{port}: {error}") from error
        self.port: int = self._server.server_address[1]
        _log.info("health at http://%s:%d/livez and /readyz, metrics at /metrics", host, self.port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="bloge-health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop to listen."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """The library's server, which must not ask the name service who it is before it listens."""

    daemon_threads = True

    def __init__(self, host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def server_bind(self) -> None:
        """Bind, and take the address for the name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    pages: ClassVar[dict[str, Callable[[], Page]]]
    server_version, sys_version = "bloge-worker", ""

    def do_GET(self) -> None:
        """Answer a probe."""
        page = self.pages.get(self.path.partition("?")[0], _nothing)()
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing: probes come every few seconds."""


def _alive(worker: Watched) -> Page:
    """Answer the liveness probe: deaf workers are to be started again."""
    return _state(worker, ok=worker.healthy)


def _ready(worker: Watched) -> Page:
    """Answer the readiness probe: is it taking work now?"""
    stats = worker.stats()
    return _state(worker, ok=stats.connected and not stats.draining)


def _state(worker: Watched, *, ok: bool) -> Page:
    stats = worker.stats()
    facts = {
        "ok": ok,
        "connected": stats.connected,
        "draining": stats.draining,
        "heard_seconds_ago": stats.heard_seconds_ago,
        "held": stats.held,
        "stopping": stats.stopping,
        "slots": stats.slots,
        "event_loop_lag_seconds": stats.loop_lag,
    }
    status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, _JSON, json.dumps(facts).encode() + b"\n")


def _metrics(worker: Watched) -> Page:
    try:
        from bloge_worker.metrics import exposition  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        return Page(HTTPStatus.NOT_IMPLEMENTED, _TEXT, f"{error}\n".encode())
    return Page(HTTPStatus.OK, _TEXT, exposition(worker))


def _nothing() -> Page:
    return Page(HTTPStatus.NOT_FOUND, _TEXT, b"there are /livez, /readyz and /metrics\n")
