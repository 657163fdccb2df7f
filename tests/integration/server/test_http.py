"""The HTTP server beside gRPC: addresses, health, names, errors, and how it ends."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.server import ServerProcess
from support.waiting import until
from support.wire import Wire, WorkSession

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a server on a store of its own; it is stopped at the end."""
    servers: list[ServerProcess] = []

    def started(*flags: str) -> ServerProcess:
        server = ServerProcess("--data-dir", str(tmp_path), *flags)
        servers.append(server)
        server.serving()
        return server

    yield started
    for server in servers:
        server.stop()


def test_health_and_readiness(http: httpx.Client) -> None:
    """A server that lives and takes work says both."""
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}


def test_a_server_without_its_store_is_alive_but_not_ready(start: Start) -> None:
    """So that it gets no new work, and is not restarted for what it cannot help."""
    server = start("--store-timeout-seconds", "1")
    with httpx.Client(base_url=f"http://{server.http_address}") as http:
        with server.store_paused():
            unready = http.get("/readyz")
            assert http.get("/healthz").status_code == 200
        assert unready.status_code == 503
        assert unready.json()["reason"] == "STORE_UNAVAILABLE"
        until(lambda: http.get("/readyz").status_code == 200, "the store is back")


def test_a_stopping_server_is_not_ready_and_answers_to_the_end(start: Start) -> None:
    """Load balancers learn of it while sessions still report."""
    server = start("--drain-seconds", "30")
    with Wire(server.address, "ns") as wire, httpx.Client(base_url=f"http://{server.http_address}") as http:
        session: WorkSession = wire.session()
        server.process.send_signal(signal.SIGTERM)
        session.expect("draining")
        assert http.get("/readyz").json()["reason"] == "SERVER_DRAINING"
        session.close()
        assert server.process.wait(timeout=30) == 0


def test_it_can_be_off(start: Start) -> None:
    """And gRPC is there all the same."""
    server = start("--http-listen", "off")
    assert server.http_address == "off"
    with Wire(server.address, "ns") as wire:
        wire.put("a")


def test_it_listens_on_a_unix_socket(start: Start, tmp_path: Path) -> None:
    """Also where an earlier server left one."""
    path = tmp_path / "http.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    server = start("--http-listen", f"unix:{path}")
    assert server.http_address == f"unix:{path}"
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://any.name") as http:
        assert http.get("/healthz").status_code == 200


def test_a_strangers_name_is_refused(http: httpx.Client) -> None:
    """A page that leads a browser here under its own name gets nothing."""
    refused = http.get("/healthz", headers={"Host": "rebound.example.com"})
    assert refused.status_code == 400
    assert "--http-hosts" in refused.json()["message"]
    for name in ("localhost", "LOCALHOST:7080", "[::1]:7080"):
        assert http.get("/healthz", headers={"Host": name}).status_code == 200


def test_further_names_can_be_given(start: Start) -> None:
    """A proxy on this machine passes on the name that its users know."""
    server = start("--http-hosts", "ops.example.com, other.example.com")
    with httpx.Client(base_url=f"http://{server.http_address}") as http:
        for name in ("ops.example.com", "other.example.com", "127.0.0.1"):
            assert http.get("/healthz", headers={"Host": name}).status_code == 200
        assert http.get("/healthz", headers={"Host": "third.example.com"}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_strangers_page_may_not_act(http: httpx.Client, headers: dict[str, str]) -> None:
    """Browsers say who made a request; a page of another site changes nothing here, whatever it sends."""
    refused = http.post("/api/v1/dead-letters/t:a/retry", headers=headers)
    assert refused.status_code == 403
    assert refused.json()["errorCode"] == "ACCESS_DENIED"
    assert http.get("/healthz", headers=headers).status_code == 200


def test_own_pages_and_programs_may_act(http: httpx.Client) -> None:
    """They get as far as the item, which is not there."""
    own = {"Origin": str(http.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    for headers in (own, {}):
        assert http.post("/api/v1/dead-letters/t:a/retry", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "NOT_FOUND"), ("DELETE", "/healthz", 405, "METHOD_NOT_ALLOWED")],
)
def test_what_is_not_there_is_told_in_the_common_form(
    http: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    """Every error has one body, whoever refuses."""
    refused = http.request(method, path)
    assert refused.status_code == status
    body = refused.json()
    assert (body["errorCode"], body["status"], body["path"]) == (code, status, path)
    assert set(body) == {"errorCode", "message", "status", "timestamp", "path", "details"}


def test_a_body_beyond_the_limit_is_refused(http: httpx.Client) -> None:
    """Nobody fills the memory of a server."""
    refused = http.post("/healthz", content=b"x" * (5 * 1024 * 1024))
    assert refused.status_code in {405, 413}
