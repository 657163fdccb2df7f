"""The shell: what is recorded, done and told, and in which order."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import (
    Body,
    ExecutionStatus,
    GraphBuilder,
    OperatorContext,
    OperatorRegistry,
    compile_source,
    expr,
)
from bloge_orchestrator.execution.events import Event, OutcomeKind
from bloge_orchestrator.execution.happenings import Begun, CancelAsked, OutcomeArrived
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.runner import Left, Runner
from bloge_orchestrator.execution.state import fold
from bloge_orchestrator.execution.work_items import ItemOutcome
from support.executions import START_MS, compiled, registry, remote

BEGUN = Begun("e-1", "default", "", {})


class Record:
    """A journal and a control plane in one, which notes what is done and in which order."""

    def __init__(self, refusals: dict[str, RemoteWorkersError] | None = None) -> None:
        self.done: list[str] = []
        self.events: list[Event] = []
        self.items: list[bytes] = []
        self.enqueued = asyncio.Event()
        self._refusals = refusals or {}

    async def append(self, events: Sequence[Event]) -> None:
        """Note events, a batch in one go."""
        self.events += events
        self.done.append("+".join(event.TYPE for event in events))

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[RemoteWorkersError | None]:
        """Note items."""
        self.items += [item.SerializeToString() for item in items]
        self.done.append(f"enqueue {','.join(item.item_id for item in items)}")
        self.enqueued.set()
        return [self._refusals.get(item.item_id) for item in items]

    async def cancel(self, items: Iterable[tuple[str, str]], reason: str) -> None:
        """Note what is withdrawn."""
        self.done.append(f"cancel {','.join(item_id for _, item_id in items)}: {reason}")

    def acknowledge(self, worker_topic: str, item_id: str) -> None:
        """Note what is acknowledged."""
        self.done.append(f"acknowledge {worker_topic}/{item_id}")


def runner_of(members: str, record: Record, **options: Any) -> Runner:
    """Return a runner of a graph whose clock stands still."""
    return Runner(Plan(compiled(members)), record, record, lambda: START_MS, **options)


def completed(node_id: str) -> OutcomeArrived:
    """Return an outcome with the output 1."""
    return OutcomeArrived("t", ItemOutcome(f"e-1.{node_id}.1", node_id, OutcomeKind.COMPLETED, output=b"1"))


async def test_the_journal_comes_first() -> None:
    """A suspension is recorded before its item is enqueued, an outcome before it is acknowledged."""
    record = Record()
    runner = runner_of(remote("n"), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.post(completed("n"))
    await running
    assert record.done == [
        "GRAPH_STARTED+NODE_STARTED+NODE_SUSPENDED",
        "enqueue e-1.n.1",
        "NODE_RESUMED+NODE_COMPLETED+GRAPH_COMPLETED",
        "acknowledge t/e-1.n.1",
    ]


async def test_an_append_that_fails_ends_the_run_before_anything_is_done() -> None:
    """What is not recorded must not happen."""

    class Broken(Record):
        async def append(self, events: Sequence[Event]) -> None:
            raise OSError("full")

    record = Broken()
    with pytest.raises(OSError, match="full"):
        await runner_of(remote("n"), record).run(BEGUN)
    assert record.done == []


async def test_what_happens_at_once_is_recorded_at_once() -> None:
    """One append for all the outcomes that have come."""
    record = Record()
    runner = runner_of("\n".join([remote("a"), remote("b")]), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.post(completed("a"))
    runner.post(completed("b"))
    await running
    assert record.done[2] == "NODE_RESUMED+NODE_COMPLETED+NODE_RESUMED+NODE_COMPLETED+GRAPH_COMPLETED"


async def test_local_nodes_are_run_and_retried() -> None:
    """The whole way through operators, delays and dependencies."""
    record = Record()
    members = """
    node a : Op { input { x = 2 } timeout = 1s }
    node b : Op { input { y = a.output.x / ctx.missing } timeout = 1s  fallback = { y: 5 } }
    node c : Op { input { z = b.output.y } timeout = 1s }
    """
    state = await runner_of(members, record).run(BEGUN)
    assert state.status is ExecutionStatus.COMPLETED
    assert state.node("c").output == {"z": 5}


async def test_a_cancellation_withdraws_the_items() -> None:
    """Once they have been enqueued."""
    record = Record()
    runner = runner_of(remote("n"), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.post(CancelAsked("enough"))
    assert (await running).status is ExecutionStatus.CANCELLED
    assert record.done[-2:] == ["GRAPH_CANCELLED+NODE_FAILED+GRAPH_COMPLETED", "cancel e-1.n.1: enough"]


async def test_an_item_is_not_enqueued_if_the_execution_is_cancelled_in_the_same_breath() -> None:
    """Nobody would take its outcome."""
    record = Record()
    runner = runner_of("\n".join([remote("a"), remote("b", "depends_on = [a]")]), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.post(completed("a"))
    runner.post(CancelAsked("enough"))
    await running
    assert [each for each in record.done if each.startswith("enqueue")] == ["enqueue e-1.a.1"]


async def test_a_refused_item_fails_its_node_with_the_reason() -> None:
    """As the server tells it."""
    refusals = {
        "e-1.a.1": RemoteWorkersError(Reason.CONTENT_DIFFERS, "it exists"),
        "e-1.b.1": RemoteWorkersError(Reason.TOO_LARGE, "too many bytes"),
    }
    state = await runner_of("\n".join([remote("a"), remote("b")]), Record(refusals)).run(BEGUN)
    assert {node_id: str(node.error) for node_id, node in state.nodes.items()} == {
        "a": "CONTENT_DIFFERS: it exists",
        "b": "TOO_LARGE: too many bytes",
    }


async def test_who_looks_on_does_not_disturb(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that fails is logged; it is told of every event all the same."""
    told: list[str] = []

    def on_event(event: Event) -> None:
        told.append(event.TYPE)
        raise ValueError("looked too closely")

    state = await runner_of("transform t { a = 1 }", Record(), on_event=on_event).run(BEGUN)
    assert state.status is ExecutionStatus.COMPLETED
    assert told == ["GRAPH_STARTED", "NODE_COMPLETED", "GRAPH_COMPLETED"]
    assert "looked too closely" in caplog.text


async def test_a_cancellation_from_before_the_start_starts_nothing() -> None:
    """Nobody owned the execution when it was asked for: its first owner records the end, and runs no operator."""
    ran: list[str] = []
    operators = registry()
    operators.register("Touch", lambda _: ran.append("touched"))
    graph = compile_source("graph g { node a : Touch { timeout = 1s } }", filename="g", registry=operators)
    record = Record()
    runner = Runner(Plan(graph), record, record, lambda: START_MS)
    runner.post(CancelAsked("enough"))
    assert (await runner.run(BEGUN)).status is ExecutionStatus.CANCELLED
    assert record.done == ["GRAPH_STARTED+NODE_STARTED+GRAPH_CANCELLED+NODE_FAILED+GRAPH_COMPLETED"]
    assert ran == []


async def test_a_takeover_enqueues_the_recorded_bytes_again() -> None:
    """And records nothing anew."""
    first = Record()
    running = asyncio.create_task(runner_of(remote("n"), first).run(BEGUN))
    await first.enqueued.wait()
    running.cancel()
    second = Record()
    taken_over = runner_of(remote("n"), second, state=fold(first.events))
    going_on = asyncio.create_task(taken_over.run(BEGUN))
    await second.enqueued.wait()
    taken_over.post(completed("n"))
    assert (await going_on).status is ExecutionStatus.COMPLETED
    assert second.done[0] == first.done[-1] == "enqueue e-1.n.1"
    assert second.items == first.items


async def test_a_takeover_after_the_end_only_cancels_again() -> None:
    """What its last owner may not have got to."""
    first = Record()
    runner = runner_of(remote("n"), first)
    running = asyncio.create_task(runner.run(BEGUN))
    await first.enqueued.wait()
    runner.post(CancelAsked("enough"))
    await running
    second = Record()
    state = await runner_of(remote("n"), second, state=fold(first.events)).run(BEGUN)
    assert (state.status, second.done) == (ExecutionStatus.CANCELLED, ["cancel e-1.n.1: enough"])


async def test_an_outcome_that_comes_after_the_end_is_acknowledged() -> None:
    """Nobody waits for it, and it must not come for ever."""
    record = Record()
    runner = runner_of(remote("n"), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.post(completed("n"))
    await running
    runner.post(completed("n"))
    assert record.done[-2:] == ["acknowledge t/e-1.n.1"] * 2


async def test_an_outcome_that_comes_while_the_end_is_being_recorded_is_acknowledged() -> None:
    """As one does whose acknowledgement died with the owner before: the next one finds it recorded."""

    class Late(Record):
        async def append(self, events: Sequence[Event]) -> None:
            await super().append(events)
            if self.events[-1].TYPE == "GRAPH_COMPLETED":
                runner.post(completed("n"))

    record = Late()
    runner = runner_of(remote("n"), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.post(completed("n"))
    await running
    assert record.done[-2:] == ["acknowledge t/e-1.n.1"] * 2


async def test_who_leaves_lets_local_attempts_end_and_starts_no_others() -> None:
    """What has ended is recorded; the rest is for the next owner."""
    gate, began = asyncio.Event(), asyncio.Event()
    operators = registry()

    @operators.operator("Wait")
    async def wait(_: Any) -> int:
        began.set()
        await gate.wait()
        return 7

    text = "graph g { node a : Wait { timeout = 1m } node b : Wait { depends_on = [a] timeout = 1m } }"
    record = Record()
    graph = compile_source(text, filename="g", registry=operators)
    runner = Runner(Plan(graph), record, record, lambda: START_MS)
    running = asyncio.create_task(runner.run(BEGUN))
    await began.wait()
    runner.leave()
    await asyncio.wait([running], timeout=0)
    assert not running.done()
    gate.set()
    with pytest.raises(Left):
        await running
    assert record.done[-1] == "NODE_COMPLETED+NODE_STARTED"
    assert fold(record.events).node("a").output == 7


async def test_who_leaves_while_nothing_runs_here_leaves_at_once() -> None:
    """The execution waits for a worker; that it may do elsewhere."""
    record = Record()
    runner = runner_of(remote("n"), record)
    running = asyncio.create_task(runner.run(BEGUN))
    await record.enqueued.wait()
    runner.leave()
    with pytest.raises(Left):
        await running
    runner = runner_of(remote("n"), record)
    runner.leave()
    with pytest.raises(Left):
        await runner.run(BEGUN)


async def test_the_deadline_of_a_subgraph_stops_what_runs_inside() -> None:
    """The attempt inside is ended, and the fallback is taken."""
    stopped: list[str] = []
    operators = OperatorRegistry()

    @operators.operator("Endless")
    async def endless(node_input: Any, context: OperatorContext) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(context.execution.node_id)

    inside = GraphBuilder("inside").node("a", "Endless", timeout="1h")
    graph = GraphBuilder("g").subgraph("s", inside, timeout="1ms", fallback={"spare": True})
    record = Record()
    runner = Runner(Plan(graph.compile(operators)), record, record, lambda: START_MS)
    state = await runner.run(BEGUN)
    assert (state.node("s").output, stopped) == ({"spare": True}, ["s/a"])


async def test_the_items_of_a_foreach_are_run() -> None:
    """Local operators are given their input and the path of their node."""
    operators = OperatorRegistry()

    @operators.operator("Where")
    async def where(node_input: Any, context: OperatorContext) -> Any:
        return [node_input["x"], context.execution.node_id]

    body = Body().node("a", "Where", input={"x": expr("item * 2")}, timeout="1h")
    graph = GraphBuilder("g").foreach("loop", [1, 2], body)
    record = Record()
    state = await Runner(Plan(graph.compile(operators)), record, record, lambda: START_MS).run(BEGUN)
    assert state.node("loop").output == [{"a": [2, "loop[0]/a"]}, {"a": [4, "loop[1]/a"]}]
