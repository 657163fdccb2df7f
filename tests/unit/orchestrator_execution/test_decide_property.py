"""Whatever happens, in whatever order: what holds for every execution of every graph."""

import json
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import CompiledGraph, ExecutionStatus, NodeKind, NodeStatus
from bloge_orchestrator.execution import paths
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
from bloge_orchestrator.execution.events import (
    NODE_ENDS,
    NodeEvent,
    NodeStarted,
    OutcomeKind,
    SkipCause,
    event_from_json,
)
from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.happenings import (
    CancelAsked,
    DeadlinePassed,
    EnqueueRefused,
    Happening,
    OperatorFailed,
    OperatorReturned,
    OutcomeArrived,
    RetryDue,
)
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.execution.state import ExecutionState, apply, fold
from bloge_orchestrator.execution.work_items import ItemOutcome
from bloge_orchestrator.graph import ForeachSpec
from bloge_orchestrator.operators import Json
from support.executions import Simulation
from support.random_graphs import RandomGraphs

DEAD_REASONS = ("", "", "LEASE_LOST", "BUDGET_SPENT", "NON_RETRYABLE")
TO_BE_DONE = (StartLocal, Enqueue, WaitUntil, WatchDeadline)
"""The actions that lead to something."""

SEEDS = st.integers(0, 2**32)
"""A graph and a history are made from a seed, many times as fast as from draws; a seed that fails makes them again."""


class World:
    """Carries out the actions of an execution in any order, as badly as the world may."""

    def __init__(self, graph: CompiledGraph, random: Random) -> None:
        self.execution = Simulation(graph)
        self._random = random
        self._open: list[Action] = []
        self._outcomes: list[OutcomeArrived] = []
        self._add(self.execution.first)

    def run(self) -> None:
        """Go on until nothing is left to do."""
        while self._open:
            self.disturb()
            if self._open:
                self._carry_out(self._open.pop(self._random.randrange(len(self._open))))

    def disturb(self) -> None:
        """Do what nobody expects."""
        if self._outcomes and self._random.random() < 0.2:
            again = self.execution.take(self._random.choice(self._outcomes))
            assert again.events == ()
            assert [type(action) for action in again.actions] == [Acknowledge]
        if self._random.random() < 0.01:
            self._add(self.execution.take(CancelAsked("")))

    def answer(self, node_id: str, attempt: int) -> Happening:
        """Say what comes of an attempt."""
        if self._random.random() < 0.4:
            failure = Failure(self._error(), retryable=self._random.random() < 0.7)
            return OperatorFailed(node_id, attempt, failure)
        return OperatorReturned(node_id, attempt, self._random.choice([7, {"x": 1}, {"x": 2}]))

    def outcome(self, enqueue: Enqueue) -> Happening:
        """Say what comes of a work item."""
        if self._random.random() < 0.05:
            return EnqueueRefused(enqueue.node_id, enqueue.item_id, NodeError("TOO_LARGE"))
        budget = pb.WorkItemSpec.FromString(enqueue.work_item).retry_policy.attempts
        outcome = ItemOutcome(
            enqueue.item_id,
            enqueue.node_id,
            self._random.choice([OutcomeKind.COMPLETED, *OutcomeKind]),
            output=self._random.choice([b"1", b'{"x":1}', b'{"x":2}', b"{broken"]),
            error=self._error(),
            retry_count=self._random.randint(0, budget),
            dead_letter_reason=self._random.choice(DEAD_REASONS),
            worker_id=self._random.choice(["", "w-1", "w-2"]),
        )
        self._outcomes.append(OutcomeArrived("t", outcome))
        return self._outcomes[-1]

    def _error(self) -> NodeError:
        return NodeError(self._random.choice(["ValueError", "Fatal"]), business=self._random.random() < 0.2)

    def _add(self, decision: Decision) -> None:
        self._open += [action for action in decision.actions if isinstance(action, TO_BE_DONE)]

    def _carry_out(self, action: Action) -> None:
        match action:
            case StartLocal(node_id, attempt):
                self._add(self.execution.take(self.answer(node_id, attempt)))
            case Enqueue():
                self._add(self.execution.take(self.outcome(action)))
            case WaitUntil(node_id):
                self._add(self.execution.take(RetryDue(node_id)))
            case WatchDeadline(node_id, attempt) if self._random.random() < 0.25:
                self._add(self.execution.take(DeadlinePassed(node_id, attempt)))
            case Acknowledge() | CancelItem() | StopLocal() | WatchDeadline() | Finish():
                pass


class FallibleProcess(World):
    """A world in which what a node does depends on nothing but the node; the process dies after any event."""

    def __init__(self, graph: CompiledGraph, random: Random, *, dies: bool) -> None:
        super().__init__(graph, random)
        self._dies = dies

    def disturb(self) -> None:
        """Let another process take over from what was recorded, now and then from a part of it."""
        if not self._dies or self._random.random() < 0.7:
            return
        execution = self.execution
        del execution.events[self._random.randint(1, len(execution.events)) :]
        decision = resume(execution.plan, fold(execution.events), execution.now_ms)
        execution.state = decision.state
        execution.events += decision.events
        self._open = []
        self._add(decision)
        self._dies = self._random.random() < 0.9

    def answer(self, node_id: str, attempt: int) -> Happening:
        """Say what always comes of this attempt."""
        if Random(f"{node_id} {attempt}").random() < 0.3:
            return OperatorFailed(node_id, attempt, Failure(NodeError("ValueError")))
        return OperatorReturned(node_id, attempt, {"x": Random(node_id).choice([1, 2])})

    def outcome(self, enqueue: Enqueue) -> Happening:
        """Say what always comes of this item."""
        kind = OutcomeKind.TIMED_OUT if Random(enqueue.item_id).random() < 0.3 else OutcomeKind.COMPLETED
        return OutcomeArrived("t", ItemOutcome(enqueue.item_id, enqueue.node_id, kind, output=b'{"x":1}'))

    def _carry_out(self, action: Action) -> None:
        if not isinstance(action, WatchDeadline):
            super()._carry_out(action)


def lived(seed: int) -> Simulation:
    """Run a graph in a world."""
    random = Random(seed)
    world = World(RandomGraphs(random).graph(), random)
    world.run()
    return world.execution


@settings(max_examples=400)
@given(seed=SEEDS)
def test_every_node_ends_once_within_its_budget(seed: int) -> None:
    """One last event a node, at most attempts + 1 attempts, nothing after a node's end, and one end of it all."""
    execution = lived(seed)
    ends = Counter(event.node_id for event in execution.events if isinstance(event, NODE_ENDS))
    reached = result_of(execution.plan, execution.state).nodes
    assert ends == Counter(reached.keys())
    for path in reached:
        budget = execution.plan.node(path).spec.retry.attempts
        own = [event for event in execution.events if isinstance(event, NodeEvent) and event.node_id == path]
        starts = [event.attempt for event in own if isinstance(event, NodeStarted)]
        assert isinstance(own[-1], NODE_ENDS)
        assert starts == sorted(set(starts))
        assert len(starts) <= budget + 1
        assert execution.state.node(path).attempts <= budget + 1
    assert [event.TYPE for event in execution.events].count("GRAPH_COMPLETED") == 1
    assert execution.events[-1].TYPE == "GRAPH_COMPLETED"


@settings(max_examples=400)
@given(seed=SEEDS)
def test_the_state_is_the_fold_of_the_events(seed: int) -> None:
    """Also of events that went through JSON; sequence numbers have no gaps."""
    execution = lived(seed)
    events = execution.events
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert fold(event_from_json(json.loads(json.dumps(event.to_json()))) for event in events) == execution.state


@settings(max_examples=400)
@given(seed=SEEDS)
def test_no_more_items_are_in_work_than_allowed(seed: int) -> None:
    """After every event; items begin in order, and none that a foreach has not."""
    execution = lived(seed)
    state = ExecutionState()
    for event in execution.events:
        state = apply(state, event)
        for path, (begun, ended) in state.item_counts.items():
            construct, expansion = execution.plan.node(path).spec.construct, state.node(path).expansion
            assert isinstance(construct, ForeachSpec)
            assert expansion is None or begun - ended <= (construct.max_concurrency or begun)
            assert expansion is None or begun <= (expansion.count or 0)


@settings(max_examples=400)
@given(seed=SEEDS)
def test_an_execution_can_be_taken_over_after_any_event(seed: int) -> None:
    """A node that has begun and not ended always has something to be done about it, and no other node has."""
    execution = lived(seed)
    state = fold(execution.events[: Random(seed).randint(1, len(execution.events))])
    decision = resume(execution.plan, state, execution.now_ms)
    alive = {path for path, node in decision.state.nodes.items() if not node.status.ended}
    waiting = {path for path in alive if decision.state.node(path).expansion is None or _waits(decision, path)}
    done = {action.node_id for action in decision.actions if isinstance(action, StartLocal | Enqueue | WaitUntil)}
    assert done == waiting
    again = resume(execution.plan, decision.state, execution.now_ms)
    assert again.events == ()


def _waits(decision: Decision, path: str) -> bool:
    return decision.state.node(path).status is NodeStatus.RETRY_WAIT


@settings(max_examples=400)
@given(seed=SEEDS)
def test_a_takeover_changes_nothing_of_what_comes_out(seed: int) -> None:
    """However often the process dies, after whatever event: the same outputs, and the same end of every node."""
    graph = RandomGraphs(Random(seed), failing_items=False).graph()

    def came_out(*, dies: bool) -> tuple[ExecutionStatus, dict[str, tuple[NodeStatus, Json]]]:
        world = FallibleProcess(graph, Random(seed), dies=dies)
        world.run()
        result = result_of(world.execution.plan, world.execution.state)
        return result.status, {path: (node.status, node.output) for path, node in result.nodes.items()}

    assert came_out(dies=True) == came_out(dies=False)


@settings(max_examples=400)
@given(seed=SEEDS)
def test_who_runs_and_who_is_skipped(seed: int) -> None:
    """A node is lost with what it needs; else skipped if no branch wants it, or all it depends on was; else it ran."""
    execution = lived(seed)
    state, given_up = execution.state, {SkipCause.CANCELLED}
    for path in result_of(execution.plan, state).nodes:
        if state.node(path).skip_cause in given_up or state.status is ExecutionStatus.CANCELLED:
            continue
        assert state.node(path).skip_cause is _expected(execution, path), path
    failed = any(state.node(name).status is NodeStatus.FAILED for name in execution.plan.nodes)
    if state.status is not ExecutionStatus.CANCELLED:
        assert state.status is (ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED)


def _expected(execution: Simulation, path: str) -> SkipCause | None:
    """Say what must have become of a node, from the ends of those it waited for."""
    scope, name = paths.scope_of(path), paths.name_of(path)
    inside = execution.plan.scope(scope)
    needed = [execution.state.node(paths.path_of(scope, each)) for each in inside.nodes[name].spec.depends_on]
    choosing = [
        execution.state.node(paths.path_of(scope, each))
        for each, node in inside.nodes.items()
        if node.spec.kind is NodeKind.BRANCH and name in node.spec.construct.targets  # type: ignore[union-attr]  # a branch
    ]
    wanted = [node for node in choosing if node.status.has_output and name in node.output]
    if any(node.lost for node in choosing):
        return SkipCause.UPSTREAM_FAILED
    if choosing and not wanted:
        return SkipCause.NOT_CHOSEN
    if any(node.lost for node in needed):
        return SkipCause.UPSTREAM_FAILED
    if needed and not wanted and not any(node.status.has_output for node in needed):
        return SkipCause.NOT_CHOSEN
    return None
