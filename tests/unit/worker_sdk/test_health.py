"""The page for probes and metrics."""

import asyncio
import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest
from unit.worker_sdk.live_worker import aside, working
from unit.worker_sdk.scripted_server import PATIENCE, ScriptedServer, lease_of

from bloge_worker import ConfigError, Worker


@pytest.fixture
def worker(server: ScriptedServer) -> Worker:
    """A worker of the scripted server that serves the page on a free port."""
    worker = Worker(server.address, slots=4, drain_grace=5.0, health_port=0)
    worker.handler("topic", operator="Operator")(lambda: None)
    return worker


def get(worker: Worker, path: str) -> tuple[int, str]:
    """Return status and body of a page."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.health_port}{path}", timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def probe(worker: Worker, path: str) -> tuple[int, Any]:
    """Return status and facts of a probe."""
    status, body = await aside(get, worker, path)
    return status, json.loads(body)


async def test_a_worker_is_alive_and_ready_once_it_is_welcomed(worker: Worker, server: ScriptedServer) -> None:
    """Before, it is neither; both pages say the facts."""
    async with worker:
        assert [(await probe(worker, path))[0] for path in ("/livez", "/readyz")] == [503, 503]
        session = await aside(server.next_session)
        await aside(session.welcome)
        await worker.connected()
        for path in ("/livez", "/readyz"):
            status, facts = await probe(worker, path)
            assert (status, facts["ok"], facts["connected"], facts["slots"]) == (200, True, True, 4)
            assert facts["heard_seconds_ago"] < PATIENCE


async def test_a_draining_worker_is_alive_and_not_ready(worker: Worker, server: ScriptedServer) -> None:
    """A platform must not kill it for that."""
    go, started = threading.Event(), threading.Event()

    @worker.handler("topic", operator="Slow")
    def handle() -> None:
        started.set()
        go.wait()

    async with working(worker, server) as session:
        session.offer(lease_of(operator="Slow"))
        await aside(started.wait)
        draining = asyncio.create_task(worker.drain())
        await aside(session.expect, "drain")
        assert (await probe(worker, "/livez"))[0] == 200
        status, facts = await probe(worker, "/readyz")
        assert (status, facts["draining"], facts["held"]) == (503, True, 1)
        go.set()
        session.accept(await aside(session.expect_report, "completes"))
        await draining


async def test_a_deaf_worker_is_not_alive(worker: Worker, server: ScriptedServer) -> None:
    """A server that says nothing for longer than the silence limit makes the liveness probe fail."""
    async with worker:
        session = await aside(server.next_session)
        await aside(session.welcome, silence=0.4, ping=60.0)
        await worker.connected()
        # The next session begins when the silence limit of the first one is over.
        await aside(server.next_session)
        status, facts = await probe(worker, "/livez")
        assert (status, facts["ok"], facts["connected"]) == (503, False, False)


async def test_a_blocked_loop_does_not_fail_the_probe(worker: Worker, server: ScriptedServer) -> None:
    """The page has a thread of its own, and tells the lag."""
    blocked, seen = threading.Event(), threading.Event()
    answers: list[Any] = []

    @worker.handler("topic", operator="Block")
    async def handle() -> None:
        blocked.set()
        seen.wait(PATIENCE)

    def look() -> None:
        blocked.wait(PATIENCE)
        while not answers or answers[-1][1]["event_loop_lag_seconds"] == 0:
            status, body = get(worker, "/livez")
            answers.append((status, json.loads(body)))
        seen.set()

    async with working(worker, server) as session:
        session.offer(lease_of(operator="Block"))
        await aside(look)
        session.accept(await aside(session.expect_report, "completes"))
    assert {status for status, _ in answers} == {200}


async def test_other_pages_are_not_there(worker: Worker, server: ScriptedServer) -> None:
    """The answer names those that are."""
    async with working(worker, server):
        status, body = await aside(get, worker, "/")
    assert status == 404
    assert "/livez" in body


async def test_without_the_extra_the_metrics_page_says_what_to_install(
    worker: Worker, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probes do not need it."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "bloge_worker.metrics", raising=False)
    async with working(worker, server):
        status, body = await aside(get, worker, "/metrics")
        assert (status, "bloge-worker-sdk[metrics]" in body) == (501, True)
        assert (await probe(worker, "/livez"))[0] == 200


async def test_the_port_is_free_once_the_worker_has_ended(worker: Worker, server: ScriptedServer) -> None:
    """Until then the page is served, through the whole drain."""
    async with working(worker, server):
        port = worker.health_port
    assert port
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_a_port_that_is_taken_is_named(server: ScriptedServer) -> None:
    """And the worker, which has not begun to work, may be started on another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        worker = Worker(server.address, health_port=port)
        worker.handler("topic")(lambda: None)
        with pytest.raises(ConfigError, match=f"health_port: cannot listen on 127.0.0.1:{port}"):
            await worker.run()
    worker.reconfigure(health_port=0)
    async with working(worker, server):
        assert (await aside(get, worker, "/livez"))[0] == 200
