"""How a worker runs handlers: on the loop, in threads, in processes; and how it stops them."""

import asyncio
import threading
import time
from typing import Any

import pytest
from unit.worker_sdk.live_worker import EventLog, aside, working
from unit.worker_sdk.scripted_server import PATIENCE, ScriptedServer, ServerSession, lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker import ConfigError, GraphCancelled, WorkContext, Worker, WorkerClosed
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
    """A handler that outlasts the grace is cancelled, cleans up, and its item is handed back."""
    worker = Worker(server.address, drain_grace=0.1)
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


async def test_an_execution_is_asked_to_cancel_itself(worker: Worker, server: ScriptedServer) -> None:
    """The handler goes on under its lease, and says so when it has done it."""

    @worker.handler("topic")
    async def handle(ctx: WorkContext) -> GraphCancelled:
        assert not ctx.cancel_requested
        await ctx.until_cancel_requested()
        assert ctx.cancel_requested
        assert not ctx.cancelled
        await ctx.until_cancel_requested()
        return GraphCancelled("given up")

    async with working(worker, server) as session:
        session.offer(lease_of())
        asked = work_stream_pb2.CancelRequested(worker_topic="topic", item_id="item-1", fence=1)
        await aside(session.expect, "receipt")
        session.send(cancels=work_stream_pb2.Cancels(requests=[asked]))
        report = await aside(session.expect_report, "completes")
        assert (report.cancelled, report.output) == (True, b'"given up"')
        session.accept(report)


async def test_a_lease_of_a_call_of_ones_own_is_run(server: ScriptedServer) -> None:
    """By a worker that wants nothing else."""
    worker = Worker(server.address, slots=0, drain_grace=5.0)

    @worker.handler("topic")
    async def handle() -> str:
        return "done"

    with pytest.raises(WorkerClosed):
        worker.adopt(lease_of(), time.monotonic())
    async with working(worker, server) as session:
        worker.adopt(lease_of(), time.monotonic())
        report = await aside(session.expect_report, "completes")
        assert report.output == b'"done"'
        session.accept(report)


def test_a_worker_that_lives_on_offers_needs_slots() -> None:
    """Without any it would wait for ever."""
    with pytest.raises(ConfigError, match="slots: 0"):
        Worker(slots=0).run_forever()


async def test_a_thread_leaves_half_done_work_by_raising(server: ScriptedServer) -> None:
    """What it had so far is no output: the item is handed back, at no cost."""
    worker = Worker(server.address, drain_grace=0.1)
    started = threading.Event()

    @worker.handler("topic")
    def handle(ctx: Any) -> str:
        ctx.raise_if_cancelled()
        started.set()
        ctx.raise_if_cancelled(wait=PATIENCE)
        return "half"

    async with working(worker, server) as session:
        session.offer(lease_of())
        await aside(started.wait)
        draining = asyncio.create_task(worker.drain())
        release = await aside(session.expect_report, "releases")
        assert release.draining
        session.accept(release)
        await draining
