"""Executions whose process dies at any moment: random graphs, every crash point, the same end as without one.

A process dies before and after each event of an append, before and after an enqueue, before an acknowledgement and
before a cancellation. What survives is what the server has: the journal, the work items, and the wish to cancel.
"""

import asyncio
import os
from collections.abc import Iterable, Sequence
from math import inf
from random import Random
from typing import Any

import pytest

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import CompiledGraph, ExecutionStatus, NodeStatus, OperatorContext, OperatorRegistry
from bloge_orchestrator.compiled import link
from bloge_orchestrator.execution.events import Event, GraphCancelled, OutcomeKind
from bloge_orchestrator.execution.happenings import Begun, CancelAsked, Happening, OutcomeArrived, RetryDue
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.execution.runner import Runner
from bloge_orchestrator.execution.state import ExecutionState, fold
from bloge_orchestrator.execution.work_items import ItemOutcome
from bloge_orchestrator.operators import Json
from support.executions import START_MS
from support.random_graphs import RandomGraphs

BEGUN = Begun("e-1", "default", "k", {"x": 1})
GRAPHS = 200 if os.environ.get("LONG") else 12
Ends = dict[str, tuple[NodeStatus, Json]]


class DeathError(Exception):
    """The process is no more."""


class Server:
    """What survives a process."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.items: dict[str, pb.WorkItemSpec] = {}
        self.cancelled: set[str] = set()
        self.cancel_asked = False
        self.acknowledged: set[str] = set()
        self.cancel_after = inf
        """After how many events somebody wants to cancel."""

    @property
    def cancel_wanted(self) -> bool:
        """Whether the execution is to be cancelled by now; what has ended no longer is."""
        return len(self.events) >= self.cancel_after and fold(self.events).status is ExecutionStatus.RUNNING

    def outcome(self, item_id: str) -> OutcomeArrived:
        """Say what comes of an item: always the same, unless it was cancelled."""
        node_id = self.items[item_id].node_id
        random = Random(item_id)
        kind = OutcomeKind.TIMED_OUT if random.random() < 0.3 else OutcomeKind.COMPLETED
        kind = OutcomeKind.CANCELLED if item_id in self.cancelled else kind
        return OutcomeArrived("t", ItemOutcome(item_id, node_id, kind, output=b'{"x":%d}' % random.choice([1, 2])))


class Clocked(Runner):
    """Waits for nothing but what happens."""

    async def _say_at(self, due_ms: int, happening: Happening) -> None:
        if isinstance(happening, RetryDue):
            self.post(happening)


class Process:
    """An owner that dies at its n-th boundary; its journal and its work items in one.

    Args:
        graph: What it runs.
        server: What survives it.
        dies_at: Which boundary it does not survive; 0: it lives.
        answers: Whether workers answer.
    """

    def __init__(self, graph: CompiledGraph, server: Server, dies_at: int = 0, *, answers: bool = True) -> None:
        self.boundaries = 0
        self.ran: list[str] = []
        self._server = server
        self._dies_at = dies_at
        self._answers = answers
        operators = OperatorRegistry()
        operators.register("Op", self._operate)
        self.plan = Plan(link(graph.spec, operators))
        self._runner = Clocked(self.plan, self, self, self._clock, fold(server.events))

    async def live(self) -> ExecutionState:
        """Take the execution over, and run it to its end, or to this process's."""
        ended = {path for path, node in fold(self._server.events).nodes.items() if node.status.ended}
        self._cancel_if_wanted()
        for item_id in self._server.items.keys() - self._server.acknowledged:
            self._tell(item_id)
        running = asyncio.create_task(self._runner.run(BEGUN))
        while not self._answers and not await self._ends_or_waits(running):
            pass
        try:
            state = await running
        finally:
            assert not ended & set(self.ran), "what has ended runs again"
        for item_id in self._server.items.keys() - self._server.acknowledged:
            self._runner.post(self._server.outcome(item_id))
        return state

    async def _ends_or_waits(self, running: "asyncio.Task[ExecutionState]") -> bool:
        """Let it run on; cancel it once it waits for workers that never answer. Return whether that is done."""
        before = self.boundaries
        for _ in range(20):
            await asyncio.sleep(0)
        if running.done():
            return True
        if self.boundaries > before:
            return False
        assert not self._server.cancel_asked, "the cancellation is lost"
        self._server.cancel_after = 0
        self._cancel_if_wanted()
        return True

    async def append(self, events: Sequence[Event]) -> None:
        """Record events one by one, so that any number of them may be left."""
        for event in events:
            self._pass("before an event")
            self._server.events.append(event)
        self._pass("after an append")
        self._cancel_if_wanted()

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[RemoteWorkersError | None]:
        """Take items; the same id has the same bytes."""
        await asyncio.sleep(0)
        self._pass("before an enqueue")
        for item in items:
            known = self._server.items.setdefault(item.item_id, item)
            assert known.SerializeToString() == item.SerializeToString(), "an item is enqueued with other contents"
        self._pass("after an enqueue")
        for item in items:
            self._tell(item.item_id)
        return [None for _ in items]

    async def cancel(self, items: Iterable[tuple[str, str]], reason: str) -> None:
        """Cancel items that are there."""
        assert reason in {"", "enough"}
        await asyncio.sleep(0)
        self._pass("before a cancellation")
        there = {item_id for _, item_id in items} & self._server.items.keys()
        self._server.cancelled |= there
        self._server.acknowledged |= there

    def acknowledge(self, worker_topic: str, item_id: str) -> None:
        """Take an acknowledgement."""
        assert worker_topic == "t"
        self._pass("before an acknowledgement")
        self._server.acknowledged.add(item_id)

    def _cancel_if_wanted(self) -> None:
        if self._server.cancel_wanted:
            self._server.cancel_asked = True
            self._runner.post(CancelAsked("enough"))

    def _tell(self, item_id: str) -> None:
        if self._answers or item_id in self._server.cancelled:
            self._runner.post(self._server.outcome(item_id))

    def _pass(self, boundary: str) -> None:
        self.boundaries += 1
        if self.boundaries == self._dies_at:
            raise DeathError(boundary)

    def _clock(self) -> int:
        return START_MS + len(self._server.events)

    async def _operate(self, _: Any, context: OperatorContext) -> Json:
        node_id = context.execution.node_id
        self.ran.append(node_id)
        random = Random(f"{node_id} {context.attempt}")
        if random.random() < 0.3:
            raise ValueError("it never works out this time")
        return {"x": random.choice([1, 2])}


async def lives(graph: CompiledGraph, server: Server, *deaths: int, **how: bool) -> tuple[int, ExecutionState]:
    """Let processes follow each other; return how many boundaries the first one passed, and the end."""
    passed = []
    for dies_at in (*deaths, 0):
        process = Process(graph, server, dies_at, **how)
        try:
            state = await process.live()
        except DeathError:
            passed.append(process.boundaries)
            continue
        passed.append(process.boundaries)
        assert server.acknowledged >= server.items.keys(), "an outcome is left behind"
        return passed[0], state
    raise AssertionError("the last one lives")


def came_of(graph: CompiledGraph, state: ExecutionState) -> tuple[ExecutionStatus, Ends]:
    """Return the end of the execution and of each node."""
    result = result_of(Plan(graph), state)
    return result.status, {path: (node.status, node.output) for path, node in result.nodes.items()}


@pytest.mark.parametrize("seed", range(GRAPHS))
async def test_the_end_is_the_same_wherever_the_process_died(seed: int) -> None:
    """Once at every boundary, and a second time somewhere behind it."""
    random = Random(seed)
    graph = RandomGraphs(random, failing_items=False).graph()
    boundaries, state = await lives(graph, Server())
    expected = came_of(graph, state)
    for boundary in range(1, boundaries + 1):
        for deaths in ((boundary,), (boundary, random.randint(1, boundaries))):
            _, state = await lives(graph, Server(), *deaths)
            assert came_of(graph, state) == expected, deaths


@pytest.mark.parametrize("seed", range(GRAPHS))
async def test_a_cancellation_survives_the_process(seed: int) -> None:
    """Every node has its end, and no item is left open, wherever the process died; workers never answer."""
    random = Random(seed)
    graph = RandomGraphs(random).graph()

    async def run(*deaths: int) -> tuple[int, ExecutionState, Server]:
        server = Server()
        server.cancel_after = Random(seed).randint(0, 12)
        boundaries, state = await lives(graph, server, *deaths, answers=False)
        return boundaries, state, server

    boundaries, state, _ = await run()
    for boundary in range(1, boundaries + 1):
        _, state, server = await run(boundary)
        if state.status is not ExecutionStatus.CANCELLED:
            assert not server.items, "it had to wait for workers"
            continue
        assert sum(isinstance(event, GraphCancelled) for event in server.events) == 1
        assert server.cancelled == server.items.keys(), boundary
        assert all(node.status.ended for node in state.nodes.values())
