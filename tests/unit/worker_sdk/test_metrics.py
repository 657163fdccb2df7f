"""Metrics: every one of them is moved by a test here."""

import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from unit.worker_sdk.live_worker import aside, working
from unit.worker_sdk.scripted_server import PATIENCE, ScriptedServer, ServerSession, lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker import BusinessError, Reject, Release, RetryLater, Worker
from bloge_worker.metrics import METRICS, WorkerCollector, exposition


def value(worker: Worker, name: str, **labels: str) -> float | None:
    """Return the value of a sample as a scrape sees it, None if it is missing."""
    families = text_string_to_metric_families(exposition(worker).decode())
    samples = [each for family in families for each in family.samples if each.name == name]
    found = [float(each.value) for each in samples if labels.items() <= each.labels.items()]
    assert len(found) <= 1, "the labels name one sample"
    return found[0] if found else None


async def moves(worker: Worker, name: str, act: Callable[[], Awaitable[Any]], **labels: str) -> tuple[Any, Any]:
    """Return a sample's value before and after something was done; both differ."""
    before = value(worker, name, **labels)
    await act()
    after = value(worker, name, **labels)
    assert before != after, name
    return before, after


async def done(session: ServerSession, kind: str = "completes") -> None:
    """Take a report, accept it, and wait until the worker knows."""
    session.accept(await aside(session.expect_report, kind))
    await settled(session)


async def settled(session: ServerSession) -> None:
    """Wait until the worker has taken all frames so far."""
    session.send(ping=work_stream_pb2.Ping(ping_id=9))
    await aside(session.expect_answer, 9)


@pytest.mark.parametrize(
    ("outcome", "end", "kind", "reports"),
    [
        ("output", "completed", "complete", "completes"),
        (ValueError("odd"), "failed", "fail", "fails"),
        (Reject("no"), "rejected", "fail", "fails"),
        (RetryLater(5), "retry_later", "fail", "fails"),
        (BusinessError("NO"), "business_error", "business_error", "fails"),
        (Release(), "released", "release", "releases"),
    ],
)
async def test_returns_and_accepted_reports_are_both_counted(
    worker: Worker, server: ScriptedServer, outcome: Any, end: str, kind: str, reports: str
) -> None:
    """What a handler did is one number, what the server took is another: their ratio shows work for nothing."""

    @worker.handler("topic", operator="Operator")
    def handle() -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with working(worker, server) as session:

        async def returned() -> None:
            session.offer(lease_of())
            await aside(session.expect_report, reports)

        async def accepted() -> None:
            session.judge(lease_pb2.Verdict(report_id=1))
            await settled(session)

        labels = {"worker_topic": "topic", "operator": "Operator", "end": end}
        assert await moves(worker, "bloge_worker_handler_ends_total", returned, **labels) == (0, 1)
        ran = value(worker, "bloge_worker_run_seconds_count", worker_topic="topic", operator="Operator")
        assert ran == 1
        assert value(worker, "bloge_worker_unverdicted_reports") == 1
        assert await moves(worker, "bloge_worker_reports_total", accepted, kind=kind, verdict="ACCEPTED") == (0, 1)
        assert value(worker, "bloge_worker_unverdicted_reports") == 0


async def test_refused_reports_are_counted_by_reason(worker: Worker, server: ScriptedServer) -> None:
    """The handler's return counts, the acceptance does not."""
    worker.handler("topic")(lambda: None)
    async with working(worker, server) as session:

        async def refused() -> None:
            session.offer(lease_of())
            report = await aside(session.expect_report, "completes")
            reason = error_reason_pb2.ERROR_REASON_SUPERSEDED
            session.judge(lease_pb2.Verdict(report_id=report.report_id, reason=reason))
            await settled(session)

        labels = {"kind": "complete", "verdict": "SUPERSEDED"}
        assert await moves(worker, "bloge_worker_reports_total", refused, **labels) == (None, 1)
        assert value(worker, "bloge_worker_reports_total", kind="complete", verdict="ACCEPTED") == 0
        ends = {"worker_topic": "topic", "operator": "*", "end": "completed"}
        assert value(worker, "bloge_worker_handler_ends_total", **ends) == 1


async def test_run_times_fall_into_buckets(server: ScriptedServer) -> None:
    """Cumulative, by the worker's clock."""
    now = [100.0]
    worker = Worker(server.address, clock=lambda: now[0])

    @worker.handler("topic")
    def handle() -> None:
        now[0] += 3.0

    async with working(worker, server) as session:

        async def run() -> None:
            session.offer(lease_of())
            await done(session)

        labels = {"worker_topic": "topic"}
        assert await moves(worker, "bloge_worker_run_seconds_sum", run, **labels) == (0, 3.0)
        assert value(worker, "bloge_worker_run_seconds_bucket", le="2.5", **labels) == 0
        assert value(worker, "bloge_worker_run_seconds_bucket", le="5.0", **labels) == 1
        assert value(worker, "bloge_worker_run_seconds_bucket", le="+Inf", **labels) == 1


async def test_held_leases_and_handlers_that_do_not_stop_are_told(worker: Worker, server: ScriptedServer) -> None:
    """A thread that ignores its cancellation shows until it returns; its report waits for a verdict meanwhile."""
    started, go = threading.Event(), threading.Event()

    @worker.handler("topic")
    def handle() -> None:
        started.set()
        go.wait(PATIENCE)

    async with working(worker, server) as session:

        async def start() -> None:
            session.offer(lease_of())
            await aside(started.wait)

        async def lose() -> None:
            reason = error_reason_pb2.ERROR_REASON_SUPERSEDED
            cancel = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id="item-1", fence=1, reason=reason)
            session.send(cancels=work_stream_pb2.Cancels(cancels=[cancel]))
            await settled(session)

        async def end() -> None:
            go.set()
            await aside(session.expect_report, "completes")

        assert await moves(worker, "bloge_worker_held_leases", start) == (0, 1)
        assert await moves(worker, "bloge_worker_stopping_handlers", lose) == (0, 1)
        assert await moves(worker, "bloge_worker_unverdicted_reports", end) == (0, 1)
        assert value(worker, "bloge_worker_held_leases") == value(worker, "bloge_worker_stopping_handlers") == 0
        session.judge(lease_pb2.Verdict(report_id=1))


async def test_sessions_reconnects_and_the_drain_are_told(worker: Worker, server: ScriptedServer) -> None:
    """From before the first session to the end of the worker."""
    worker.handler("topic", concurrency=3)(lambda: None)
    async with worker:
        first = await aside(server.next_session)

        async def welcome() -> None:
            await aside(first.welcome)
            await worker.connected()
            await settled(first)

        assert await moves(worker, "bloge_worker_sessions_total", welcome) == (0, 1)
        assert value(worker, "bloge_worker_connected") == 1

        async def reconnect() -> None:
            first.end()
            second = await aside(server.next_session)
            await aside(second.welcome)
            await settled(second)

        assert await moves(worker, "bloge_worker_reconnects_total", reconnect) == (0, 1)
        assert await moves(worker, "bloge_worker_draining", worker.drain) == (0, 1)


async def test_what_is_known_before_and_after_the_first_session(worker: Worker, server: ScriptedServer) -> None:
    """Slots are there once the worker runs; the silence is missing until the server has spoken."""
    worker.handler("topic", concurrency=3)(lambda: None)

    async def start() -> None:
        await worker.__aenter__()

    assert await moves(worker, "bloge_worker_slots", start) == (0, 3)
    session = await aside(server.next_session)

    async def welcome() -> None:
        await aside(session.welcome)
        await worker.connected()
        await settled(session)

    assert value(worker, "bloge_worker_silence_seconds") is None
    await moves(worker, "bloge_worker_silence_seconds", welcome)
    await moves(worker, "bloge_worker_connected", worker.drain)


async def test_unknown_operators_are_counted(worker: Worker, server: ScriptedServer) -> None:
    """They are no label: anybody may make them up."""
    worker.handler("topic", operator="Known")(lambda: None)
    async with working(worker, server) as session:

        async def refuse() -> None:
            session.offer(lease_of(operator="Unknown"))
            await done(session, "releases")

        assert await moves(worker, "bloge_worker_unknown_operators_total", refuse) == (0, 1)
        assert "Unknown" not in exposition(worker).decode()


async def test_the_loops_lag_is_measured(worker: Worker, server: ScriptedServer) -> None:
    """While it is blocked, it grows; afterwards it says how long the last answer took."""
    go = threading.Event()

    @worker.handler("topic")
    async def handle() -> None:
        go.wait(PATIENCE)

    def wait_for_lag() -> None:
        while not value(worker, "bloge_worker_event_loop_lag_seconds"):
            pass
        go.set()

    async with working(worker, server) as session:

        async def block() -> None:
            session.offer(lease_of())
            await aside(wait_for_lag)
            await done(session)

        await moves(worker, "bloge_worker_event_loop_lag_seconds", block)


def test_a_collector_may_be_registered_elsewhere(worker: Worker) -> None:
    """In any registry; in the default one the page tells it once."""
    registry = CollectorRegistry()
    registry.register(WorkerCollector(worker))
    assert registry.get_sample_value("bloge_worker_slots") == 0
    collector = WorkerCollector(worker)
    REGISTRY.register(collector)
    try:
        assert exposition(worker).count(b"# TYPE bloge_worker_slots ") == 1
    finally:
        REGISTRY.unregister(collector)


def test_the_listed_metrics_are_those_that_are_told(worker: Worker) -> None:
    """The docs are made from the list."""
    worker.handler("topic")(lambda: None)
    told = {metric.name for metric in WorkerCollector(worker).collect()}
    assert told == {name.removesuffix("_total") for name in METRICS}


def test_every_metric_is_moved_by_a_test() -> None:
    """A metric that no test moves may as well be a constant."""
    moved = set(re.findall(r'await moves\(worker, "(\w+)"', Path(__file__).read_text()))
    assert {re.sub(r"_sum$", "", name) for name in moved} == set(METRICS)
