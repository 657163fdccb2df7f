"""How a worker runs handlers: on the loop, in threads, in processes; and how it stops them."""

import asyncio
import json
import os
import threading
from typing import Any

import pytest
from unit.worker_sdk import process_handlers
from unit.worker_sdk.live_worker import EventLog, aside, working
from unit.worker_sdk.scripted_server import ScriptedServer, ServerSession, lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker import HandlerError, Worker
from bloge_worker._durations import duration_of


def cancel(item_id: str = "item-1", fence: int = 1) -> dict[str, Any]:
    """Return a frame that cancels an item."""
    reason = error_reason_pb2.ERROR_REASON_CANCELLED
    one = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id=item_id, fence=fence, reason=reason)
    return {"cancels": work_stream_pb2.Cancels(cancels=[one])}


async def test_a_blocked_event_loop_keeps_its_leases(worker: Worker, server: ScriptedServer, log: EventLog) -> None:
    """A handler that blocks the loop for three leases is heartbeaten all the while, runs once, and is complained of."""
    go = threading.Event()
    runs: list[int] = []

    @worker.handler("topic")
    async def handle() -> str:
        runs.append(1)
        go.wait()
        return "done"

    def serve(session: ServerSession) -> None:
        lease = 0.9
        session.offer(lease_of(duration=lease))
        for _ in range(10):
            beat = session.expect_report("heartbeats")
            session.judge(lease_pb2.Verdict(report_id=beat.report_id, lease_duration=duration_of(lease)))
        go.set()
        session.accept(session.expect_report("completes"))

    async with working(worker, server, lease=0.9) as session:
        await aside(serve, session)
    assert runs == [1]
    assert "has not turned" in log.next()
    assert "turns again" in log.next()


async def test_a_cancel_reaches_an_async_handler(worker: Worker, server: ScriptedServer) -> None:
    """Its awaiting code gets CancelledError, the context says why, and nothing is reported."""
    ends: asyncio.Queue[tuple[bool, str | None]] = asyncio.Queue()

    started = asyncio.Event()

    @worker.handler("topic")
    async def handle(ctx: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.put_nowait((ctx.cancelled, ctx.cancel_reason))

    async with working(worker, server) as session:
        session.offer(lease_of())
        await started.wait()
        session.send(**cancel())
        assert await ends.get() == (True, "CANCELLED")
    assert (worker.stats().done, worker.stats().failed, worker.stats().held) == (0, 0, 0)


async def test_a_cancel_reaches_async_code_that_was_shielded(worker: Worker, server: ScriptedServer) -> None:
    """`until_cancelled` tells what the cancellation does not reach by itself."""
    noticed = asyncio.Event()

    async def elsewhere(ctx: Any) -> None:
        await ctx.until_cancelled()
        noticed.set()

    watchers = []
    started = asyncio.Event()

    @worker.handler("topic")
    async def handle(ctx: Any) -> None:
        watchers.append(asyncio.create_task(elsewhere(ctx)))
        started.set()
        await asyncio.Event().wait()

    async with working(worker, server) as session:
        session.offer(lease_of())
        await started.wait()
        session.send(**cancel())
        await noticed.wait()
    await asyncio.gather(*watchers)


async def test_a_cancel_reaches_a_thread_that_waits_for_it(worker: Worker, server: ScriptedServer) -> None:
    """A thread cannot be stopped, but it can look and wait."""
    seen: list[tuple[bool, bool, str | None]] = []
    started = threading.Event()

    @worker.handler("topic")
    def handle(ctx: Any) -> None:
        early = ctx.wait_cancelled(0.0)
        started.set()
        seen.append((early, ctx.wait_cancelled(), ctx.cancel_reason))

    async with working(worker, server) as session:
        session.offer(lease_of())
        await aside(started.wait)
        session.send(**cancel())
        session.send(ping=work_stream_pb2.Ping(ping_id=7))
        await aside(session.expect_answer, 7)
    assert seen == [(False, True, "CANCELLED")]


async def test_a_lease_that_is_not_confirmed_stops_its_handler(worker: Worker, server: ScriptedServer) -> None:
    """A server that answers no heartbeat lets the lease run out, and the handler is stopped before that."""
    ends: asyncio.Queue[str | None] = asyncio.Queue()

    @worker.handler("topic")
    async def handle(ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.put_nowait(ctx.cancel_reason)

    async with working(worker, server, lease=0.3) as session:
        session.offer(lease_of(duration=0.3))
        assert await ends.get() == "LEASE_EXPIRED"


async def test_a_handler_that_cancels_itself_fails(worker: Worker, server: ScriptedServer) -> None:
    """CancelledError without a reason of ours is a failure like any other."""

    @worker.handler("topic")
    async def handle() -> None:
        raise asyncio.CancelledError

    async with working(worker, server) as session:
        session.offer(lease_of())
        report = await aside(session.expect_report, "fails")
        assert report.failure.type == "CancelledError"
        session.accept(report)


async def test_progress_travels_at_once(worker: Worker, server: ScriptedServer) -> None:
    """From async and thread handlers alike, as JSON."""
    go = threading.Event()

    @worker.handler("topic", operator="Async")
    async def handle(ctx: Any) -> None:
        ctx.progress({"from": "loop"})
        await ctx.until_cancelled()

    @worker.handler("topic", operator="Thread")
    def handle_in_thread(ctx: Any) -> None:
        ctx.progress({"from": "thread"})
        go.wait()

    async with working(worker, server) as session:
        for operator, source in (("Async", b"loop"), ("Thread", b"thread")):
            session.offer(lease_of(operator, operator=operator))
            beat = await aside(session.expect_report, "heartbeats")
            assert source in beat.progress
            session.accept(beat)
        session.send(**cancel("Async"))
        go.set()
        session.accept(await aside(session.expect_report, "completes"))


@pytest.mark.parametrize("is_async", [True, False])
async def test_concurrency_limits_a_handler_and_not_the_others(
    worker: Worker, server: ScriptedServer, *, is_async: bool
) -> None:
    """Items over the limit wait under their lease; another handler of the worker runs meanwhile."""
    running: list[int] = []
    most: list[int] = []
    go = threading.Event()

    def enter() -> None:
        running.append(1)
        most.append(len(running))

    async def handle_async() -> None:
        enter()
        await asyncio.to_thread(go.wait)
        running.pop()

    def handle_sync() -> None:
        enter()
        go.wait()
        running.pop()

    worker.handler("topic", operator="Limited", concurrency=1)(handle_async if is_async else handle_sync)
    worker.handler("topic", operator="Free")(lambda: "free")
    async with working(worker, server) as session:
        session.offer(*(lease_of(f"i{n}", operator="Limited") for n in range(3)), lease_of("free", operator="Free"))
        report = await aside(session.expect_report, "completes")
        assert report.lease_token == lease_of("free").lease_token
        session.accept(report)
        go.set()
        for _ in range(3):
            session.accept(await aside(session.expect_report, "completes"))
    assert max(most) == 1
    assert len(most) == 3


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_cancelled_item_that_waits_never_runs(
    worker: Worker, server: ScriptedServer, *, is_async: bool
) -> None:
    """The turn passes to the next."""
    go = threading.Event()
    ran: list[str] = []

    async def handle_async(ctx: Any) -> None:
        ran.append(ctx.item_id)
        await asyncio.to_thread(go.wait)

    def handle_sync(ctx: Any) -> None:
        ran.append(ctx.item_id)
        go.wait()

    worker.handler("topic", concurrency=1)(handle_async if is_async else handle_sync)
    async with working(worker, server) as session:
        session.offer(lease_of("first"), lease_of("second"), lease_of("third"))
        await aside(session.expect, "receipt")
        session.send(**cancel("second"))
        session.send(ping=work_stream_pb2.Ping(ping_id=7))
        await aside(session.expect_answer, 7)
        go.set()
        for _ in range(2):
            session.accept(await aside(session.expect_report, "completes"))
    assert ran == ["first", "third"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_drain_hands_back_what_waits_and_finishes_what_runs(
    worker: Worker, server: ScriptedServer, *, is_async: bool
) -> None:
    """Waiting items are released at once, the running one completes."""
    started, go = threading.Event(), threading.Event()

    def handle_sync() -> None:
        started.set()
        go.wait()

    async def handle_async() -> None:
        await asyncio.to_thread(handle_sync)

    worker.handler("topic", concurrency=1)(handle_async if is_async else handle_sync)
    async with working(worker, server) as session:
        session.offer(lease_of("first"), lease_of("second"))
        await aside(started.wait)
        draining = asyncio.create_task(worker.drain())
        release = await aside(session.expect_report, "releases")
        assert release.draining
        assert release.lease_token == lease_of("second").lease_token
        go.set()
        complete = await aside(session.expect_report, "completes")
        session.accept(release, complete)
        await draining


async def test_after_the_grace_a_drain_stops_handlers_and_releases_their_items(server: ScriptedServer) -> None:
    """With no grace left a handler is cancelled, cleans up, and its item is handed back."""
    worker = Worker(server.address, drain_grace=0.0)
    cleaned: list[str | None] = []
    started = asyncio.Event()

    @worker.handler("topic")
    async def handle(ctx: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(ctx.cancel_reason)

    async with working(worker, server) as session:
        session.offer(lease_of())
        await started.wait()
        draining = asyncio.create_task(worker.drain())
        release = await aside(session.expect_report, "releases")
        assert release.draining
        session.accept(release)
        await draining
    assert cleaned == ["DRAINING"]


async def test_an_operator_without_handler_is_released_with_a_delay(
    worker: Worker, server: ScriptedServer, log: EventLog
) -> None:
    """Another worker may know it; the log says so once in a while, not for each item."""
    worker.handler("topic", operator="Known")(lambda: None)
    async with working(worker, server) as session:
        session.offer(lease_of("a", operator="Unknown"), lease_of("b", operator="Unknown"))
        reports = [await aside(session.expect_report, "releases") for _ in range(2)]
        assert [report.delay.seconds for report in reports] == [5, 5]
        assert not reports[0].draining
        assert "Unknown" in reports[0].reason
        session.accept(*reports)
    assert "Unknown" in log.next()
    assert log.texts.empty()


async def test_the_envelope_names_the_operator_if_the_item_does_not(worker: Worker, server: ScriptedServer) -> None:
    """A producer that fills only the envelope is understood."""
    worker.handler("topic", operator="A")(lambda: "a")
    worker.handler("topic", operator="B")(lambda: "b")
    payload = json.dumps({"operatorRef": "B", "workerTopic": "topic", "input": None}).encode()
    async with working(worker, server) as session:
        session.offer(lease_of(operator="", payload=payload))
        report = await aside(session.expect_report, "completes")
        assert report.output == b'"b"'
        session.accept(report)


async def test_an_output_over_the_servers_limit_fails_for_good(worker: Worker, server: ScriptedServer) -> None:
    """The limit is the one in Welcome."""
    worker.handler("topic")(lambda: "x" * 99)
    async with working(worker, server, max_payload_bytes=100) as session:
        session.offer(lease_of())
        report = await aside(session.expect_report, "fails")
        assert report.failure.type == "OutputTooLarge"
        session.accept(report)


async def test_a_process_runs_items_one_after_another(worker: Worker, server: ScriptedServer) -> None:
    """The child is used again, is not the worker's process, and reports every kind of end."""
    worker.handler("topic", executor="process", concurrency=1)(process_handlers.run)
    async with working(worker, server, max_payload_bytes=500) as session:
        session.offer(lease_of("a", attempt=3, remaining=60.0))
        first = await aside(session.expect_report, "completes")
        session.offer(lease_of("b", payload=b'{"do":"object"}'))
        second = await aside(session.expect_report, "fails")
        session.offer(lease_of("c", payload=b'{"do":"big"}'))
        third = await aside(session.expect_report, "fails")
        session.accept(first, second, third)
    output, details = json.loads(first.output), json.loads(second.business_error.details)
    assert output["pid"] == details["pid"] != os.getpid()
    assert output["attempt"] == 3
    assert 50.0 < output["left"] <= 60.0
    assert third.failure.type == "OutputTooLarge"


async def test_a_process_is_killed_when_its_lease_is_lost(worker: Worker, server: ScriptedServer) -> None:
    """Even a handler that never looks stops at once, and the next item gets a new process."""
    worker.handler("topic", executor="process", concurrency=1)(process_handlers.run)
    async with working(worker, server) as session:
        session.offer(lease_of("a", payload=b'{"do":"hang"}'))
        beat = await aside(session.expect_report, "heartbeats")
        session.accept(beat)
        pid = json.loads(beat.progress)["pid"]
        session.send(**cancel("a"))
        session.offer(lease_of("b"))
        report = await aside(session.expect_report, "completes")
        session.accept(report)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert json.loads(report.output)["pid"] != pid


async def test_a_process_that_dies_is_a_failure(worker: Worker, server: ScriptedServer) -> None:
    """A crash in native code costs the item a retry and the worker nothing."""
    worker.handler("topic", executor="process")(process_handlers.run)
    async with working(worker, server) as session:
        session.offer(lease_of("a", payload=b'{"do":"die"}'))
        report = await aside(session.expect_report, "fails")
        assert (report.failure.type, report.failure.non_retryable) == ("ProcessDied", False)
        assert "signal 9" in report.failure.message
        session.accept(report)


async def test_a_raw_handler_runs_in_a_process(worker: Worker, server: ScriptedServer) -> None:
    """Bytes cross to the child and back."""
    worker.handler("topic", executor="process", raw=True)(process_handlers.reverse)
    async with working(worker, server) as session:
        session.offer(lease_of(payload=b"\x00\xff"))
        report = await aside(session.expect_report, "completes")
        assert report.output == b"\xff\x00"
        session.accept(report)


async def test_a_handler_for_processes_must_be_importable(worker: Worker) -> None:
    """What a child cannot import is refused when the worker starts."""
    worker.handler("topic", executor="process")(lambda: None)
    with pytest.raises(HandlerError, match="importable by its name"):
        await worker.run()
