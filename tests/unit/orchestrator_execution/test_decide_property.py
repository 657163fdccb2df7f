"""Whatever happens, in whatever order: what holds for every execution."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import CompiledGraph, ExecutionStatus, GraphBuilder, NodeKind, NodeStatus
from bloge_orchestrator.execution.actions import (
    Acknowledge,
    Action,
    CancelItem,
    Enqueue,
    Finish,
    StartLocal,
    StopLocal,
    WaitUntil,
    WatchDeadline,
)
from bloge_orchestrator.execution.decide import Decision, resume
from bloge_orchestrator.execution.events import NODE_ENDS, NodeEvent, NodeStarted, OutcomeKind, event_from_json
from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.happenings import (
    CancelAsked,
    EnqueueRefused,
    OperatorFailed,
    OperatorReturned,
    OutcomeArrived,
    RetryDue,
)
from bloge_orchestrator.execution.state import fold
from bloge_orchestrator.execution.work_items import ItemOutcome
from support.executions import Simulation, registry

DEAD_REASONS = ("", "", "LEASE_LOST", "BUDGET_SPENT", "NON_RETRYABLE")
ERRORS = st.builds(NodeError, st.sampled_from(["ValueError", "Fatal"]), business=st.booleans())


@st.composite
def graphs(draw: st.DrawFn) -> CompiledGraph:
    """Draw a graph of local and remote nodes that depend on earlier ones."""
    builder = GraphBuilder("g")
    for number in range(draw(st.integers(1, 6))):
        earlier = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        settings: dict[str, Any] = {
            "depends_on": [f"n{each}" for each in sorted(earlier)],
            "timeout": "1s",
            "retry": {"attempts": draw(st.integers(0, 3)), "backoff": "10ms", "non_retryable": ["Fatal"]},
        }
        if draw(st.booleans()):
            settings["fallback"] = {"spare": number}
        if draw(st.booleans()):
            settings |= {"execution_mode": "remote", "worker_topic": "t"}
        builder.node(f"n{number}", "Op", **settings)
    return builder.compile(registry())


class World:
    """Carries out the actions of an execution in any order, as badly as the world may."""

    def __init__(self, graph: CompiledGraph, draw: st.DataObject) -> None:
        self.execution = Simulation(graph)
        self._draw = draw.draw
        self._open: list[Action] = []
        self._outcomes: list[OutcomeArrived] = []
        self._add(self.execution.first)

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self._open:
            if self._outcomes and self._draw(st.integers(0, 4)) == 0:
                self._redeliver()
            self._carry_out(self._open.pop(self._draw(st.integers(0, len(self._open) - 1))))
            if self._draw(st.integers(0, 40)) == 0:
                self._add(self.execution.take(CancelAsked("")))
                self._open = [action for action in self._open if not isinstance(action, WaitUntil)]

    def _add(self, decision: Decision) -> None:
        waiting = (StartLocal, Enqueue, WaitUntil)
        self._open += [action for action in decision.actions if isinstance(action, waiting)]

    def _redeliver(self) -> None:
        again = self.execution.take(self._draw(st.sampled_from(self._outcomes)))
        assert again.events == ()
        assert [type(action) for action in again.actions] == [Acknowledge]

    def _carry_out(self, action: Action) -> None:
        match action:
            case StartLocal(node_id, attempt):
                self._add(self.execution.take(self._draw(_answers(node_id, attempt))))
            case WaitUntil(node_id):
                self._add(self.execution.take(RetryDue(node_id)))
            case Enqueue(node_id, item_id) if self._draw(st.integers(0, 20)) == 0:
                self._add(self.execution.take(EnqueueRefused(node_id, item_id, NodeError("TOO_LARGE"))))
            case Enqueue():
                self._outcomes.append(OutcomeArrived("t", self._draw(_outcomes(action))))
                self._add(self.execution.take(self._outcomes[-1]))
            case Acknowledge() | CancelItem() | StopLocal() | WatchDeadline() | Finish():
                raise AssertionError("these lead to nothing")


def _answers(node_id: str, attempt: int) -> st.SearchStrategy[OperatorReturned | OperatorFailed]:
    failures = st.builds(Failure, ERRORS, retryable=st.booleans())
    return st.one_of(
        st.builds(OperatorReturned, st.just(node_id), st.just(attempt), st.integers()),
        st.builds(OperatorFailed, st.just(node_id), st.just(attempt), failures),
    )


def _outcomes(enqueue: Enqueue) -> st.SearchStrategy[ItemOutcome]:
    budget = pb.WorkItemSpec.FromString(enqueue.work_item).retry_policy.attempts
    return st.builds(
        ItemOutcome,
        st.just(enqueue.item_id),
        st.just(enqueue.node_id),
        st.sampled_from(OutcomeKind),
        output=st.sampled_from([b"1", b"{}", b"{broken"]),
        error=ERRORS,
        retry_count=st.integers(0, budget),
        dead_letter_reason=st.sampled_from(DEAD_REASONS),
        worker_id=st.sampled_from(["", "w-1", "w-2"]),
    )


@given(graph=graphs(), data=st.data())
def test_every_node_ends_once_within_its_budget(graph: CompiledGraph, data: st.DataObject) -> None:
    """One last event a node, at most attempts + 1 attempts, nothing after a node's end, and one end of it all."""
    world = World(graph, data)
    world.run()
    execution = world.execution
    ends = Counter(event.node_id for event in execution.events if isinstance(event, NODE_ENDS))
    assert ends == Counter(graph.nodes.keys())
    for node_id, node in graph.nodes.items():
        own = [event for event in execution.events if isinstance(event, NodeEvent) and event.node_id == node_id]
        starts = [event.attempt for event in own if isinstance(event, NodeStarted)]
        assert isinstance(own[-1], NODE_ENDS)
        assert starts == sorted(set(starts))
        assert len(starts) <= node.spec.retry.attempts + 1
        assert execution.state.node(node_id).attempts <= node.spec.retry.attempts + 1
    assert [event.TYPE for event in execution.events].count("GRAPH_COMPLETED") == 1
    assert execution.events[-1].TYPE == "GRAPH_COMPLETED"


@given(graph=graphs(), data=st.data())
def test_the_state_is_the_fold_of_the_events(graph: CompiledGraph, data: st.DataObject) -> None:
    """Also of events that went through JSON; sequence numbers have no gaps."""
    world = World(graph, data)
    world.run()
    events = world.execution.events
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert fold(event_from_json(json.loads(json.dumps(event.to_json()))) for event in events) == world.execution.state


@given(graph=graphs(), data=st.data())
def test_an_execution_can_be_taken_over_after_any_event(graph: CompiledGraph, data: st.DataObject) -> None:
    """A node that has begun and not ended always has something to be done about it, and no other node has."""
    world = World(graph, data)
    world.run()
    events = world.execution.events
    state = fold(events[: data.draw(st.integers(1, len(events)))])
    decision = resume(world.execution.plan, state, world.execution.now_ms)
    alive = {node_id for node_id, node in decision.state.nodes.items() if not node.status.ended}
    of_nodes = [action for action in decision.actions if isinstance(action, StartLocal | Enqueue | WaitUntil)]
    assert {action.node_id for action in of_nodes} == alive


@given(graph=graphs(), data=st.data())
def test_what_depends_on_an_end_without_output_is_skipped(graph: CompiledGraph, data: st.DataObject) -> None:
    """And a node that was not skipped had all its dependencies."""
    world = World(graph, data)
    world.run()
    statuses = world.execution.statuses()
    if world.execution.state.status is ExecutionStatus.CANCELLED:
        return
    for node_id, node in graph.nodes.items():
        lost = any(not statuses[dependency].has_output for dependency in node.spec.depends_on)
        assert (statuses[node_id] is NodeStatus.SKIPPED) == lost
        assert node.spec.kind is not NodeKind.TRANSFORM
    failed = NodeStatus.FAILED in statuses.values()
    assert world.execution.state.status is (ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED)
