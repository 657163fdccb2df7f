"""The fake control plane as the author of a worker uses it. That it speaks the protocol, tests/protocol shows."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import from_rpc_error
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as items
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from bloge_worker import BusinessError, Reject, RetryLater, WorkContext, Worker
from bloge_worker.testing import FakeControlPlane, ItemOutcome
from support.waiting import until


def make_worker(address: str) -> Worker:
    """Return a worker with a handler for each thing a test wants to see."""
    worker = Worker(address, slots=4, drain_grace=5.0, worker_id="w-1")

    @worker.handler("topic", operator="Echo")
    async def echo(value: Any, ctx: WorkContext) -> Any:
        return [value, ctx.execution_context, ctx.attempt]

    @worker.handler("topic", operator="Later")
    def later(ctx: WorkContext) -> str:
        if ctx.attempt == 1:
            ctx.progress({"seen": 1})
            raise RetryLater(3600)
        return f"attempt {ctx.attempt} after {ctx.last_progress}"

    @worker.handler("topic", operator="Object")
    def object_to(value: Any) -> None:
        raise BusinessError("NO", "not today", {"value": value})

    @worker.handler("topic", operator="Reject")
    def reject() -> None:
        raise Reject("broken")

    @worker.handler("topic", operator="Wait")
    async def wait(ctx: WorkContext) -> str:
        await ctx.until_cancelled()
        return "never"

    return worker


async def test_an_item_runs_and_its_outcome_is_decoded() -> None:
    """What an orchestrator would enqueue is what the handler gets, and what it returns comes back."""
    with FakeControlPlane() as plane:
        async with make_worker(plane.address):
            item = plane.enqueue("topic", {"a": 1}, operator_ref="Echo", execution_context={"nodeId": "n"})
            assert await plane.outcome(item) == ItemOutcome("COMPLETED", output=[{"a": 1}, {"nodeId": "n"}, 1])
            assert plane.item(item).worker_id == "w-1"


async def test_a_business_error_is_an_outcome_and_a_rejection_is_a_dead_letter() -> None:
    """The one resumes the node; about the other somebody has to decide."""
    with FakeControlPlane() as plane:
        async with make_worker(plane.address):
            objected = plane.enqueue("topic", 7, operator_ref="Object")
            outcome = await plane.outcome(objected)
            assert outcome == ItemOutcome("FAILED", code="NO", message="not today", details={"value": 7})
            rejected = plane.enqueue("topic", operator_ref="Reject")
            letter = await plane.reaches(rejected, "DEAD_LETTER")
            assert letter.attempts[0].failure.message == "broken"


async def test_time_moves_when_the_test_says_so() -> None:
    """A retry that is due in an hour runs at once, with the progress of the attempt before."""
    with FakeControlPlane() as plane:
        async with make_worker(plane.address):
            item = plane.enqueue("topic", operator_ref="Later", retry_policy=pb.RetryPolicy(attempts=1))
            await plane.reaches(item, "RETRY_WAIT")
            plane.advance(3600)
            assert (await plane.outcome(item)).output == "attempt 2 after {'seen': 1}"


async def test_a_cancel_stops_the_handler() -> None:
    """It is pushed to the worker, as the real one does."""
    with FakeControlPlane() as plane:
        async with make_worker(plane.address) as worker:
            item = plane.enqueue("topic", operator_ref="Wait")
            await plane.reaches(item, "CLAIMED")
            assert plane.cancel(item)
            assert (await plane.outcome(item)).kind == "CANCELLED"
            await asyncio.to_thread(until, lambda: not worker.stats().held, "the handler ends")
            assert plane.cancel(item), "again says the same"


async def test_a_worker_comes_back_after_a_broken_connection() -> None:
    """It names the lease it still holds, and the item runs once."""
    started, go = asyncio.Event(), asyncio.Event()
    with FakeControlPlane() as plane:
        worker = make_worker(plane.address)

        @worker.handler("topic", operator="Hold")
        async def hold() -> str:
            started.set()
            await go.wait()
            return "held"

        async with worker:
            item = plane.enqueue("topic", operator_ref="Hold")
            await started.wait()
            plane.disconnect()
            await asyncio.to_thread(until, lambda: worker.stats().sessions == 2, "the worker is back")
            go.set()
            assert (await plane.outcome(item)).output == "held"
            assert plane.item(item).claim_count == 1


async def test_a_limited_topic_does_not_starve_its_neighbours() -> None:
    """One slow item runs, the others of its topic stay where other workers can get them, and quick ones all pass."""
    go = asyncio.Event()
    with FakeControlPlane() as plane:
        worker = Worker(plane.address, slots=3)

        @worker.handler("slow", concurrency=1)
        async def slow() -> None:
            await go.wait()

        @worker.handler("quick")
        async def quick() -> None: ...

        slow_items = [plane.enqueue("slow") for _ in range(5)]
        quick_items = [plane.enqueue("quick") for _ in range(20)]
        async with worker:
            for item in quick_items:
                await plane.outcome(item)
            statuses = [plane.item(item).status for item in slow_items]
            assert statuses == [pb.WORK_ITEM_STATUS_CLAIMED, *[pb.WORK_ITEM_STATUS_READY] * 4]
            go.set()
            for item in slow_items:
                await plane.outcome(item)


async def test_a_worker_that_is_asked_to_leave_ends() -> None:
    """`run` returns as after a signal."""
    with FakeControlPlane() as plane:
        worker = make_worker(plane.address)
        running = asyncio.create_task(worker.run())
        item = plane.enqueue("topic", 1, operator_ref="Echo")
        await plane.outcome(item)
        plane.ask_to_leave("w-1")
        await running
        assert worker.stats().draining


def test_everything_works_from_threads_too() -> None:
    """For tests without an event loop."""
    with FakeControlPlane() as plane:
        worker = make_worker(plane.address)
        thread = threading.Thread(target=worker.run_forever)
        thread.start()
        item = plane.enqueue("topic", 1, operator_ref="Echo", item_id="mine")
        assert plane.wait_outcome(item).output == [1, {}, 1]
        assert plane.wait_status(item, "DONE").item.item_id == "mine"
        plane.ask_to_leave("w-1")
        thread.join()


def test_an_outcome_that_does_not_come_says_where_the_item_stands() -> None:
    """So that a test that waits in vain explains itself."""
    with FakeControlPlane() as plane:
        item = plane.enqueue("topic")
        with pytest.raises(TimeoutError, match=r"topic/\w+ has no outcome within 0.01 s; it is READY"):
            plane.wait_outcome(item, timeout=0.01)
        with pytest.raises(TimeoutError, match="is not DONE within"):
            plane.wait_status(item, "DONE", timeout=0.01)


def test_items_that_are_not_there_and_items_that_are_refused() -> None:
    """Mistakes of a test are errors, not outcomes."""
    with FakeControlPlane(backlog_limit=1) as plane:
        nobody = pb.WorkItemRef(worker_topic="topic", item_id="nobody")
        for ask in (plane.item, plane.cancel, plane.wait_outcome):
            with pytest.raises(KeyError, match="topic/nobody"):
                ask(nobody)
        plane.enqueue("topic", item_id="a")
        with pytest.raises(ValueError, match="there already"):
            plane.enqueue("topic", item_id="a")
        with pytest.raises(ValueError, match="CONTENT_DIFFERS"):
            plane.enqueue("topic", 1, item_id="a")
        with pytest.raises(ValueError, match="BACKLOG_FULL"):
            plane.enqueue("topic", item_id="b")


def test_what_it_does_not_offer_it_refuses(tmp_path: Path) -> None:
    """Outboxes and graphs are the business of orchestrators."""
    with FakeControlPlane(f"unix:{tmp_path}/plane") as plane, grpc.insecure_channel(plane.address) as channel:
        stub = WorkItemServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.WatchOutcomes(iter(())))
        assert from_rpc_error(refused.value).reason is Reason.NOT_IMPLEMENTED
        graph = pb.WorkItemSpec(item_id="a", worker_topic="topic", item_type=pb.WORK_ITEM_TYPE_EXECUTE_GRAPH)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Enqueue(items.EnqueueRequest(items=[graph]))
        assert [each.field for each in from_rpc_error(refused.value).fields] == ["items[0].item_type"]
