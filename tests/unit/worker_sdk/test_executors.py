"""Executors alone: what crosses to the loop and back, and what happens to a run before its first step."""

import asyncio
import threading
import time
from types import NoneType

import pytest
from unit.worker_sdk.live_worker import aside
from unit.worker_sdk.scripted_server import PATIENCE, lease_of

from bloge.remote_workers.v1.lease_pb2 import ReleaseReport
from bloge_worker._executors import AsyncExecutor, ThreadExecutor
from bloge_worker._leases import lone_lease
from bloge_worker._runs import Ended, Run, RunServices
from bloge_worker.context import Cancellation
from bloge_worker.handlers import Handler, make_handler
from bloge_worker.outcomes import Report, report_failure

SERVICES = RunServices(time.monotonic, lambda held, details: None, lambda: 1024)


def run_of(handler: Handler, item_id: str = "a") -> Run:
    return Run(lone_lease(lease_of(item_id), 0.0), handler)


async def immediate() -> str:
    return "done"


async def test_a_batch_crosses_to_the_loop_and_back_in_one_piece() -> None:
    """Runs that end within one turn of the loop are handed over together."""
    batches: asyncio.Queue[list[Ended]] = asyncio.Queue()
    executor = AsyncExecutor(asyncio.get_running_loop(), SERVICES, batches.put_nowait)
    handler = make_handler(immediate, "topic")
    runs = [run_of(handler, f"i{n}") for n in range(50)]
    executor.start(runs)
    assert [run for run, _ in await batches.get()] == runs
    assert batches.empty()


@pytest.mark.parametrize("concurrency", [None, 1])
async def test_a_run_that_is_cancelled_before_its_first_step_still_ends(concurrency: int | None) -> None:
    """Its handler never runs, its slot is freed, and the turn passes on."""
    batches: asyncio.Queue[list[Ended]] = asyncio.Queue()
    executor = AsyncExecutor(asyncio.get_running_loop(), SERVICES, batches.put_nowait)
    handler = make_handler(immediate, "topic", concurrency=concurrency)
    runs = [run_of(handler, "a"), run_of(handler, "b"), run_of(handler, "c")]
    executor.start(runs)
    for run in runs[:2]:
        run.cancellation.cancel("CANCELLED")
        executor.cancel(run)
    ended: list[Ended] = []
    while len(ended) < 3:
        ended += await batches.get()
    assert {run.held.key[1]: report is None for run, report in ended} == {"a": True, "b": True, "c": False}


async def test_a_run_that_is_cancelled_as_it_is_handed_back_ends_once() -> None:
    """A drain and a cancel may cross; the loop does not complain of it."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
    batches: asyncio.Queue[list[Ended]] = asyncio.Queue()
    executor = AsyncExecutor(loop, SERVICES, batches.put_nowait)
    handler = make_handler(asyncio.Event().wait, "topic", concurrency=1)
    begun, waiting = run_of(handler, "a"), run_of(handler, "b")
    executor.start([begun, waiting])
    executor.hand_back()
    for run in (waiting, begun):
        run.cancellation.cancel("CANCELLED")
        executor.cancel(run)
    ended: list[Ended] = []
    while begun not in [run for run, _ in ended]:
        ended += await batches.get()
    assert [(run.held.key[1], type(report)) for run, report in ended] == [("b", ReleaseReport), ("a", NoneType)]
    assert complaints == []


async def test_threads_are_started_as_needed_and_used_again() -> None:
    """Ten items one after the other need one thread; ten at once need the limit."""
    names: set[int] = set()
    ended = threading.Semaphore(0)
    together = threading.Barrier(3)

    def execute(run: Run) -> Report | None:
        names.add(threading.get_ident())
        if run.held.key[1] == "together":
            together.wait(PATIENCE)
        return report_failure("t", "T", "")

    executor = ThreadExecutor(3, execute, lambda batch: ended.release(len(batch)))
    handler = make_handler(lambda: None, "topic")
    for _ in range(10):
        executor.start([run_of(handler)])
        assert await aside(ended.acquire, timeout=PATIENCE)
    executor.start([run_of(handler, "together") for _ in range(9)])
    for _ in range(9):
        assert await aside(ended.acquire, timeout=PATIENCE)
    assert len(names) == 3
    executor.close()


def test_only_the_first_reason_of_a_cancellation_counts() -> None:
    """Callbacks run once, and at once if they come late."""
    cancellation = Cancellation()
    calls: list[str] = []
    cancellation.on_cancel(lambda: calls.append("early"))
    cancellation.cancel("CANCELLED")
    cancellation.cancel("SUPERSEDED")
    cancellation.on_cancel(lambda: calls.append("late"))
    assert (cancellation.reason, calls) == ("CANCELLED", ["early", "late"])
    assert cancellation.wait(0.0)
