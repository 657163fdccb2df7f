"""A worker against a real stream: ends of every kind, silence, resuming, refusals."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from unit.worker_sdk.live_worker import EventLog, aside, working
from unit.worker_sdk.scripted_server import ScriptedServer, lease_of

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge.remote_workers.status import DETAILS_KEY, to_status
from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker import Security, Worker, WorkerClosed, WorkerRefused


async def test_an_item_goes_all_the_way(worker: Worker, server: ScriptedServer) -> None:
    """Hello, Welcome, credits, offer, receipt, report, verdict."""

    @worker.handler("topic", operator="Operator")
    async def handle(value: dict[str, Any]) -> dict[str, Any]:
        return {"got": value}

    async with working(worker, server) as session:
        assert (await aside(session.expect, "credits")).items_total == 4
        session.offer(lease_of(payload=b'{"a":1}'))
        assert (await aside(session.expect, "receipt")).offer_sequence == 1
        report = await aside(session.expect_report, "completes")
        assert report.output == b'{"got":{"a":1}}'
        session.accept(report)
        assert worker.healthy
    stats = worker.stats()
    assert (stats.held, stats.done, stats.accepted, stats.unverdicted, stats.sessions) == (0, 1, 1, 0, 1)


@pytest.mark.parametrize(
    "code",
    [None, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.ABORTED],
)
async def test_every_kind_of_end_reconnects_and_keeps_what_runs(
    worker: Worker, server: ScriptedServer, code: grpc.StatusCode | None
) -> None:
    """The handler goes on over the gap, its lease is named, and its report arrives on the second session."""
    go = asyncio.Event()

    @worker.handler("topic")
    async def handle() -> str:
        await go.wait()
        return "done"

    async with working(worker, server) as first:
        first.offer(lease_of())
        await aside(first.expect, "receipt")
        first.end(code, "that was it")
        second = await aside(server.next_session)
        hello = await aside(second.welcome, held_leases=[lease_pb2.Verdict()])
        assert list(hello.held_lease_tokens) == [lease_of().lease_token]
        go.set()
        second.accept(await aside(second.expect_report, "completes"))


async def test_a_cut_connection_reconnects(worker: Worker, tmp_path: Path) -> None:
    """The server's process dies and another takes its place."""
    worker.handler("topic")(lambda: None)
    with ScriptedServer(worker.config.address + "2") as first:
        worker.reconfigure(address=first.address)
        async with worker:
            session = await aside(first.next_session)
            await aside(session.welcome)
            await worker.connected()
            await aside(first.__exit__, None, None, None)
            with ScriptedServer(first.address) as second:
                session = await aside(second.next_session)
                await aside(session.welcome)
                await aside(session.expect, "credits")
                await worker.drain()
    assert worker.stats().sessions == 2


async def test_a_report_without_verdict_is_repeated(worker: Worker, server: ScriptedServer) -> None:
    """The verdict got lost with the stream, so the same report comes again."""
    worker.handler("topic")(lambda: 1)
    async with working(worker, server) as first:
        first.offer(lease_of())
        report = await aside(first.expect_report, "completes")
        first.end()
        second = await aside(server.next_session)
        await aside(second.welcome)
        again = await aside(second.expect_report, "completes")
        assert again == report
        second.accept(again)


async def test_a_deaf_server_is_left(worker: Worker, server: ScriptedServer) -> None:
    """A server that takes frames and says nothing any more is found out by silence."""
    worker.handler("topic")(lambda: None)
    async with working(worker, server, ping=0.1, silence=0.3) as first:
        assert (await aside(first.expect, "ping")).ping_id == 1
        await aside(first.expect_end)
        second = await aside(server.next_session)
        await aside(second.welcome)
        await aside(second.expect, "credits")
        assert worker.healthy
    assert worker.stats().sessions == 2


async def test_pings_are_answered(worker: Worker, server: ScriptedServer) -> None:
    """The server may ask as well."""
    worker.handler("topic")(lambda: None)
    async with working(worker, server) as session:
        session.send(ping=work_stream_pb2.Ping(ping_id=99))
        await aside(session.expect_answer, 99)


async def test_a_leaving_server_is_left_in_good_order(worker: Worker, server: ScriptedServer) -> None:
    """The next session opens while the first is still there; then the first is closed by the worker."""
    go = threading.Event()

    @worker.handler("topic")
    def handle() -> None:
        go.wait()

    async with working(worker, server) as first:
        first.offer(lease_of())
        await aside(first.expect, "receipt")
        first.send(draining=work_stream_pb2.Draining(reason="deploy"))
        second = await aside(server.next_session)
        await aside(second.welcome, held_leases=[lease_pb2.Verdict()])
        await aside(first.expect_end)
        go.set()
        second.accept(await aside(second.expect_report, "completes"))


async def test_a_dropped_lease_stops_its_handler(worker: Worker, server: ScriptedServer) -> None:
    """What Welcome does not keep is cancelled, and the handler learns why."""
    ends: asyncio.Queue[str | None] = asyncio.Queue()
    started = asyncio.Event()

    @worker.handler("topic")
    async def handle(ctx: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.put_nowait(ctx.cancel_reason)

    async with working(worker, server) as first:
        first.offer(lease_of())
        await started.wait()
        first.end()
        second = await aside(server.next_session)
        superseded = lease_pb2.Verdict(reason=error_reason_pb2.ERROR_REASON_SUPERSEDED)
        await aside(second.welcome, held_leases=[superseded])
        assert await ends.get() == "SUPERSEDED"


@pytest.mark.parametrize("reason", [Reason.INVALID_FIELD, Reason.PERMISSION_DENIED, Reason.UNAUTHENTICATED])
async def test_a_refusal_of_the_first_session_ends_the_worker_with_its_cause(
    worker: Worker, server: ScriptedServer, reason: Reason
) -> None:
    """`run` raises what the server said, fields included."""
    worker.handler("topic")(lambda: None)
    running = asyncio.create_task(worker.run())
    session = await aside(server.next_session)
    fields = [FieldViolation("worker_topics[0]", "is not known")]
    status = to_status(RemoteWorkersError(reason, "it cannot be", fields=fields))
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    session.end(code, status.message, trailing=((DETAILS_KEY, status.SerializeToString()),))
    with pytest.raises(WorkerRefused, match=r"it cannot be.*worker_topics\[0\]: is not known") as refused:
        await running
    assert refused.value.reason == code.name
    assert refused.value.address == server.address
    with pytest.raises(WorkerRefused):
        await worker.connected()


async def test_a_server_that_is_not_there_is_waited_for(tmp_path: Path, log: EventLog) -> None:
    """The worker says once per attempt where it cannot connect and why, and goes on trying."""
    address = f"unix:{tmp_path}/late"
    worker = Worker(address)
    worker.handler("topic")(lambda: None)
    async with worker:
        text = await log.next_text()
        assert not worker.healthy
        with ScriptedServer(address) as server:
            session = await aside(server.next_session)
            await aside(session.welcome)
            await worker.connected()
            await worker.drain()
    assert address in text
    assert "UNAVAILABLE" in text


async def test_an_unreadable_key_file_is_reported_and_tried_again(log: EventLog) -> None:
    """A file that is not there yet may come; the log names it meanwhile."""
    worker = Worker("127.0.0.1:1", security=Security(ca_file=Path("/nowhere/ca.pem")))
    worker.handler("topic")(lambda: None)
    async with worker:
        text = await log.next_text()
    assert "/nowhere/ca.pem" in text


async def test_a_loopback_port_and_a_token_work(tmp_path: Path) -> None:
    """`host:port` is the other form of address; the token goes with the call."""
    with ScriptedServer("127.0.0.1:0") as server:
        worker = Worker(server.address, security=Security(token="secret", plaintext=True))
        worker.handler("topic")(lambda: None)
        async with working(worker, server) as session:
            assert ("authorization", "Bearer secret") in session.metadata
    assert "secret" not in repr(worker.config)


async def test_a_server_that_accepts_and_says_nothing_does_not_stop_a_drain() -> None:
    """A port that takes connections without speaking leaves the worker trying, and free to leave."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        worker = Worker(f"127.0.0.1:{silent.getsockname()[1]}")
        worker.handler("topic")(lambda: None)
        async with worker:
            assert not worker.healthy
    assert worker.stats().sessions == 0


async def test_a_worker_runs_once(worker: Worker, server: ScriptedServer) -> None:
    """Its id names one life of a process."""
    worker.handler("topic")(lambda: None)
    with pytest.raises(WorkerClosed):
        await worker.connected()
    async with working(worker, server):
        with pytest.raises(WorkerClosed):
            await worker.run()
        with pytest.raises(WorkerClosed):
            worker.reconfigure(slots=2)
