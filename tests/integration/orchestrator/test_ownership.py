"""Executions change hands: owners that die, leave, lack an operator, share, or are replaced without knowing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

import pytest

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1.lease_pb2 import Lease
from bloge_orchestrator import (
    Event,
    ExecutionLostError,
    ExecutionStatus,
    OperatorRegistry,
    Orchestrator,
    compile_source,
)
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.errors import FencedOffError
from bloge_orchestrator.execution.decide import decide
from bloge_orchestrator.execution.events import NodeSuspended
from bloge_orchestrator.execution.happenings import Begun
from bloge_orchestrator.execution.journal import to_message
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.remote_journal import RemoteJournal
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.handle import ExecutionHandle
from bloge_orchestrator.orchestrator import wall_clock
from support.executions import compiled, remote
from support.graphs import Graphs, event
from support.proxy import Proxy
from support.unary_worker import UnaryWorker, unary_worker
from support.waiting import until_true
from support.wire import Wire

GRAPH = remote("far") + "transform t { z = far.output }"


@pytest.fixture
def graphs(server_address: str, namespace: str) -> Iterator[Graphs]:
    """The executions of the test's namespace, call by call: what an owner does until it dies."""
    with Wire(server_address, namespace) as wire:
        yield Graphs(wire)


@pytest.fixture
def owner(server_address: str, namespace: str) -> Iterator[UnaryWorker]:
    """One that claims executions, and does with them what the test says."""
    with unary_worker(server_address, namespace, "executions", "owner") as worker:
        yield worker


@pytest.fixture
def worker(server_address: str, namespace: str) -> Iterator[UnaryWorker]:
    """A worker of topic `t`."""
    with unary_worker(server_address, namespace, "t") as worker:
        yield worker


def suspended(handle: ExecutionHandle, namespace: str) -> Sequence[Event]:
    """Return the first events of an execution of the graph: its node is suspended."""
    begun = Begun(handle.execution_id, namespace, "", {})
    return decide(Plan(compiled(GRAPH)), ExecutionState(), begun, wall_clock()).events


@asynccontextmanager
async def cuttable(server_address: str) -> AsyncIterator[Proxy]:
    """Yield a way to the server that can be cut."""
    host, port = server_address.split(":")
    proxy = Proxy((host, int(port)))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def own_and_die(handle: ExecutionHandle, graphs: Graphs, owner: UnaryWorker, events: Sequence[Event]) -> Lease:
    """Claim the execution under a lease of a second, record events, and do no more."""
    lease = await asyncio.to_thread(owner.claim, 1)
    assert lease.spec.item_id == handle.execution_id
    graphs.open(lease)
    graphs.append(lease, 1, *map(to_message, events))
    return lease


async def test_the_recorded_item_is_enqueued_by_the_next_owner(
    server_address: str, namespace: str, graphs: Graphs, owner: UnaryWorker, worker: UnaryWorker
) -> None:
    """Byte for byte: the one before died between its append and its enqueue. What is recorded stays as it is."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        handle = await orchestrator.start(compiled(GRAPH))
        recorded = suspended(handle, namespace)
        await own_and_die(handle, graphs, owner, recorded)
        async with orchestrator.serving():
            lease = await asyncio.to_thread(worker.claim)
            worker.complete(lease, 7)
            result = await handle.result()
        events = [each async for each in handle.events()]
    assert result.outputs == {"t": {"z": 7}}
    assert events[: len(recorded)] == list(recorded)
    (suspension,) = [each for each in events if isinstance(each, NodeSuspended)]
    lease.spec.ClearField("trace_context")  # each enqueue has a span of its own
    assert suspension.work_item == lease.spec.SerializeToString()


@pytest.mark.parametrize("when", ["before it is owned", "while it is owned"])
async def test_a_cancellation_outlives_the_owner(
    server_address: str, namespace: str, graphs: Graphs, owner: UnaryWorker, when: str
) -> None:
    """Whoever owns the execution next carries it out, and gives the reason."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        handle = await orchestrator.start(compiled(GRAPH))
        if when == "before it is owned":
            await handle.cancel("enough")
        recorded = suspended(handle, namespace)
        await own_and_die(handle, graphs, owner, recorded)
        await handle.cancel("enough")
        async with orchestrator.serving():
            result = await handle.result()
        info = await handle.status()
    assert (result.status, info.status, info.cancel_requested) == (ExecutionStatus.CANCELLED,) * 2 + (True,)
    assert "enough" in str(result.nodes["far"].error)


async def test_a_cancelled_execution_starts_nothing(server_address: str, namespace: str) -> None:
    """Nobody owned it when it was asked for."""
    ran: list[object] = []
    operators = OperatorRegistry()
    operators.register("Touch", ran.append)
    graph = compile_source("graph g { node a : Touch { timeout = 1m } }", filename="g", registry=operators)
    async with Orchestrator(server_address, namespace=namespace, registry=operators) as orchestrator:
        handle = await orchestrator.start(graph)
        await handle.cancel()
        async with orchestrator.serving():
            assert (await handle.result()).status is ExecutionStatus.CANCELLED
    assert ran == []


async def test_an_append_after_a_takeover_is_fenced_off(
    server_address: str, namespace: str, graphs: Graphs, owner: UnaryWorker
) -> None:
    """The error names the execution; nothing is recorded."""
    async with (
        Orchestrator(server_address, namespace=namespace) as orchestrator,
        ControlPlane(server_address) as control_plane,
    ):
        handle = await orchestrator.start(compiled(GRAPH))
        lease = await asyncio.to_thread(owner.claim, 1)
        where = (control_plane.executions, lease.lease_token, namespace, handle.execution_id)
        opened = await RemoteJournal.open(*where, Random(7))
        graphs.open(await asyncio.to_thread(owner.claim))
        events = suspended(handle, namespace)
        with pytest.raises(FencedOffError, match=handle.execution_id):
            await opened.journal.append(events)
        with pytest.raises(FencedOffError, match=handle.execution_id):
            await RemoteJournal.open(*where, Random(7))
        assert graphs.read(handle.execution_id).next_sequence == 1


async def test_an_owner_that_is_cut_off_stops(server_address: str, namespace: str) -> None:
    """When its lease runs out by its own clock, whether or not anybody tells it; each step is there once."""
    began, stopped = asyncio.Event(), asyncio.Event()
    endless, quick = OperatorRegistry(), OperatorRegistry()

    @endless.operator("Step")
    async def step(_: object) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    quick.register("Step", lambda _: "quick")
    graph = compile_source("graph g { node a : Step { timeout = 1m } }", filename="g", registry=quick)
    async with (
        cuttable(server_address) as proxy,
        Orchestrator(proxy.address, namespace=namespace, registry=endless) as cut_off,
        Orchestrator(server_address, namespace=namespace, registry=quick) as other,
    ):
        handle = await other.start(graph)
        async with cut_off.serving(lease=timedelta(seconds=1), drain_grace=timedelta(seconds=0.1)):
            await began.wait()
            proxy.refusing = True
            proxy.sever()
            async with other.serving():
                result = await handle.result()
            await stopped.wait()
        events = [each.TYPE async for each in handle.events()]
    assert result.outputs == {"a": "quick"}
    assert events.count("NODE_COMPLETED") == 1


async def test_an_execution_waits_for_an_owner_that_has_its_operators(
    server_address: str, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that lacks them hands it back, says which, and records nothing."""
    caplog.set_level(logging.WARNING, "bloge_orchestrator")
    able = OperatorRegistry()
    able.register("Rare", lambda _: "done")
    graph = compile_source("graph g { node a : Rare { timeout = 1m } }", filename="g", registry=able)
    async with (
        Orchestrator(server_address, namespace=namespace) as lacking,
        Orchestrator(server_address, namespace=namespace, registry=able) as having,
    ):
        handle = await lacking.start(graph)
        async with lacking.serving():
            await until_true(lambda: _later("no operator Rare", caplog), "it is handed back")
        assert (await handle.status()).next_sequence == 1
        async with having.serving():
            assert (await handle.result()).outputs == {"a": "done"}


async def _later(text: str, caplog: pytest.LogCaptureFixture) -> bool:
    return text in caplog.text


async def test_what_a_later_version_has_recorded_is_left_to_it(
    server_address: str,
    namespace: str,
    graphs: Graphs,
    owner: UnaryWorker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An event that this version does not know is no reason to go on without it."""
    caplog.set_level(logging.WARNING, "bloge_orchestrator")
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        handle = await orchestrator.start(compiled(GRAPH))
        lease = await asyncio.to_thread(owner.claim, 1)
        graphs.open(lease)
        graphs.append(lease, 1, event("NODE_DREAMT", data=b"{}"))
        async with orchestrator.serving():
            await until_true(lambda: _later("NODE_DREAMT", caplog), "it is handed back")
        info = await handle.status()
    assert (info.status, info.next_sequence) == (ExecutionStatus.RUNNING, 2)


async def test_two_orchestrators_share_executions(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Neither owns more than it may, and none is left."""
    graph = compiled(GRAPH)
    async with (
        Orchestrator(server_address, namespace=namespace) as one,
        Orchestrator(server_address, namespace=namespace) as two,
        one.serving(concurrency=6) as first,
        two.serving(concurrency=6) as second,
    ):
        handles = [await one.start(graph) for _ in range(12)]
        leases = [await asyncio.to_thread(worker.claim) for _ in handles]
        assert (first.owned, second.owned) == (6, 6)
        for lease in leases:
            worker.complete(lease, lease.spec.reply_group)
        results = [await handle.result() for handle in handles]
    assert [result.outputs["t"] for result in results] == [{"z": handle.execution_id} for handle in handles]


async def test_an_owner_that_leaves_hands_on_at_once(server_address: str, namespace: str, worker: UnaryWorker) -> None:
    """Before its lease would have run out; the next one repeats nothing."""
    async with Orchestrator(server_address, namespace=namespace) as orchestrator:
        handle = await orchestrator.start(compiled(GRAPH))
        async with orchestrator.serving(lease=timedelta(hours=1)):
            lease = await asyncio.to_thread(worker.claim)
        left = await handle.status()
        async with orchestrator.serving():
            worker.complete(lease, 7)
            result = await handle.result()
        events = [each.TYPE async for each in handle.events()]
    assert (left.status, left.owner, result.outputs) == (ExecutionStatus.RUNNING, "", {"t": {"z": 7}})
    assert events.count("NODE_SUSPENDED") == events.count("NODE_STARTED") == 1


async def test_a_discarded_execution_is_lost(server_address: str, namespace: str, owner: UnaryWorker) -> None:
    """It never ends by its journal; who waits for it is told."""
    async with (
        Orchestrator(server_address, namespace=namespace) as orchestrator,
        ControlPlane(server_address) as control_plane,
    ):
        handle = await orchestrator.start(compiled(GRAPH))
        lease = await asyncio.to_thread(owner.claim)
        assert not owner.fail(lease, non_retryable=True).reason
        info = await handle.status()
        one = ops.DeadLetterFilter(item_ids=[handle.execution_id])
        await control_plane.discard_dead_letters(
            ops.DiscardDeadLettersRequest(namespace=namespace, worker_topic="executions", filter=one)
        )
        with pytest.raises(ExecutionLostError, match=handle.execution_id):
            await handle.result()
    assert info.dead_letter_reason == "NON_RETRYABLE"
