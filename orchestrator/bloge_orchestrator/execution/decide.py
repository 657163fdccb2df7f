"""The scheduler: what to record and what to do about a happening. Without I/O and without a clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bloge_orchestrator.execution.actions import Acknowledge, Action, CancelItem, Enqueue, Finish, StartLocal, WaitUntil
from bloge_orchestrator.execution.events import (
    NODE_ENDS,
    Event,
    ExecutionStatus,
    GraphCancelled,
    GraphCompleted,
    GraphStarted,
    NodeCompleted,
    NodeEvent,
    NodeFailed,
    NodeFellBack,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeSuspended,
)
from bloge_orchestrator.execution.failure import CANCELLED, Failure, NodeError
from bloge_orchestrator.execution.happenings import (
    Begun,
    CancelAsked,
    EnqueueRefused,
    Happening,
    OperatorFailed,
    OperatorReturned,
    OutcomeArrived,
    RetryDue,
)
from bloge_orchestrator.execution.plan import Plan, execution_context, instant, node_input
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus, apply
from bloge_orchestrator.execution.work_items import ItemOutcome, item_id_of, output_of, work_item
from bloge_orchestrator.expressions.evaluator import ExpressionError
from bloge_orchestrator.graph import NodeKind, NodeSpec
from bloge_orchestrator.operators import Json
from bloge_orchestrator.remote import EnvelopeError, RemoteWorkerOperator
from bloge_orchestrator.resilience import FallBack, GiveUp, Retry, react


@dataclass(frozen=True, slots=True)
class Decision:
    """Record the events, in this order and at once; only then carry out the actions."""

    events: tuple[Event, ...]
    actions: tuple[Action, ...]
    state: ExecutionState
    """The state once the events are recorded."""


def decide(plan: Plan, state: ExecutionState, happening: Happening, at_ms: int) -> Decision:
    """Decide what follows from a happening.

    What comes too late, or again, has no events; an outcome is acknowledged all the same.

    Args:
        plan: The graph.
        state: Where the execution stands.
        happening: What happened.
        at_ms: When, in milliseconds since 1970.

    """
    draft = _Draft(plan, state, at_ms)
    draft.take(happening)
    return draft.decision()


def resume(plan: Plan, state: ExecutionState, at_ms: int) -> Decision:
    """Decide what a process has to do that takes an execution over; there are events only if its secrets differ."""
    draft = _Draft(plan, state, at_ms)
    draft.take_over()
    return draft.decision()


class _Draft:
    """One decision in the making: events are folded as they are drafted, so that one can follow from another."""

    def __init__(self, plan: Plan, state: ExecutionState, at_ms: int) -> None:
        self._plan = plan
        self._state = state
        self._at_ms = at_ms
        self._events: list[Event] = []
        self._actions: list[Action] = []
        self._inputs: dict[str, dict[str, Json]] = {}
        self._touched: dict[str, None] = {}

    def decision(self) -> Decision:
        """Draft what follows from the events so far, to the end, and give it all."""
        # A plain loop: the list grows while it is walked.
        for event in self._events:
            if isinstance(event, GraphStarted):
                self._start_all([node.id for node in self._plan.graph.spec.nodes if not node.depends_on])
            elif isinstance(event, NODE_ENDS):
                self._start_all(self._plan.dependents[event.node_id])
        if self._events and all(self._state.node(node_id).status.ended for node_id in self._plan.nodes):
            self._finish()
        for node_id in self._touched:
            self._act(node_id)
        return Decision(tuple(self._events), tuple(self._actions), self._state)

    # ---- what happened ----

    def take(self, happening: Happening) -> None:
        """Draft what is to be recorded of a happening."""
        match happening:
            case Begun():
                self._begin(happening)
            case OutcomeArrived(worker_topic, outcome):
                self._take_outcome(worker_topic, outcome)
            case OperatorReturned(node_id, attempt, output) if self._runs(node_id, attempt):
                self._record(NodeCompleted, node_id=node_id, output=output)
            case OperatorFailed(node_id, attempt, failure) if self._runs(node_id, attempt):
                self._fail(node_id, failure)
            case EnqueueRefused(node_id, item_id, error) if self._waits_for(node_id, item_id):
                self._fail(node_id, Failure(error, retryable=False))
            case RetryDue(node_id) if self._state.node(node_id).status is NodeStatus.RETRY_WAIT:
                self._start(self._plan.nodes[node_id])
            case CancelAsked(reason) if self._state.status is ExecutionStatus.RUNNING:
                self._cancel(reason)
            case _:
                pass

    def take_over(self) -> None:
        """Draft the actions of every node that has begun and not ended."""
        for node_id, node in self._state.nodes.items():
            if not node.status.ended:
                self._touched[node_id] = None
            if node.status is NodeStatus.RUNNING:
                self._go_on(self._plan.nodes[node_id])

    def _begin(self, begun: Begun) -> None:
        if self._state.status is not ExecutionStatus.PENDING:
            return
        self._record(
            GraphStarted,
            execution_id=begun.execution_id,
            namespace=begun.namespace,
            business_key=begun.business_key,
            graph_name=self._plan.graph.spec.name,
            graph_hash=self._plan.graph.content_hash,
            input=begun.input,
        )

    def _take_outcome(self, worker_topic: str, outcome: ItemOutcome) -> None:
        """Record the first outcome of an item that a node waits for; any other is only acknowledged."""
        self._actions.append(Acknowledge(worker_topic, outcome.item_id))
        node_id = outcome.node_id
        if not self._waits_for(node_id, outcome.item_id):
            return
        self._record(
            NodeResumed,
            node_id=node_id,
            item_id=outcome.item_id,
            outcome=outcome.kind,
            worker_id=outcome.worker_id,
            retry_count=outcome.retry_count,
            dead_letter_reason=outcome.dead_letter_reason,
        )
        result = output_of(outcome, self._plan.nodes[node_id].timeout)
        if isinstance(result, Failure):
            self._fail(node_id, result)
        else:
            self._record(NodeCompleted, node_id=node_id, output=result)

    def _cancel(self, reason: str) -> None:
        self._record(GraphCancelled, reason=reason)
        message = f"the execution was cancelled: {reason}" if reason else "the execution was cancelled"
        for spec in self._plan.graph.spec.nodes:
            node = self._state.node(spec.id)
            if node.status is NodeStatus.SUSPENDED:
                assert spec.worker_topic is not None, "only remote nodes are suspended"
                self._actions.append(CancelItem(spec.worker_topic, node.items[-1]))
            if node.status is NodeStatus.PENDING:
                self._record(NodeSkipped, node_id=spec.id, reason=message)
            elif not node.status.ended:
                self._record(NodeFailed, node_id=spec.id, error=NodeError(CANCELLED, message))

    def _runs(self, node_id: str, attempt: int) -> bool:
        node = self._state.node(node_id)
        return node.status is NodeStatus.RUNNING and node.attempts == attempt

    def _waits_for(self, node_id: str, item_id: str) -> bool:
        node = self._state.node(node_id)
        return node.status is NodeStatus.SUSPENDED and node.items[-1] == item_id

    # ---- what follows ----

    def _start_all(self, node_ids: Iterable[str]) -> None:
        """Start the nodes whose last dependency is done, and skip those that have lost one."""
        for node_id in node_ids:
            spec = self._plan.nodes[node_id]
            dependencies = [(each, self._state.node(each).status) for each in spec.depends_on]
            lost = next((each for each, status in dependencies if status in _LOST), None)
            if self._state.node(node_id).status is not NodeStatus.PENDING:
                continue
            if lost is not None:
                self._record(NodeSkipped, node_id=node_id, reason=self._why_skipped(lost))
            elif all(status.has_output for _, status in dependencies):
                self._start(spec)

    def _why_skipped(self, dependency: str) -> str:
        """Name the node that failed, however far up it is."""
        node = self._state.node(dependency)
        return node.reason if node.status is NodeStatus.SKIPPED else f"{dependency} failed"

    def _start(self, spec: NodeSpec) -> None:
        if spec.kind is not NodeKind.TRANSFORM:
            self._record(NodeStarted, node_id=spec.id, attempt=self._state.node(spec.id).retries_spent + 1)
        self._go_on(spec)

    def _go_on(self, spec: NodeSpec) -> None:
        """Give a node that has started what it needs: a transform its output, a remote node its work item."""
        inputs = self._evaluate(spec)
        if inputs is None:
            return
        if spec.kind is NodeKind.TRANSFORM:
            self._record(NodeCompleted, node_id=spec.id, output=inputs)
        elif spec.kind is NodeKind.REMOTE:
            self._suspend(spec, inputs)

    def _evaluate(self, spec: NodeSpec) -> dict[str, Json] | None:
        """Evaluate a node's input; without one the node fails."""
        try:
            self._inputs[spec.id] = node_input(self._plan, self._state, spec, self._at_ms)
        except ExpressionError as error:
            self._fail(spec.id, Failure(NodeError("ExpressionError", str(error)), retryable=False))
            return None
        return self._inputs[spec.id]

    def _suspend(self, spec: NodeSpec, inputs: Json) -> None:
        operator = self._plan.graph.nodes[spec.id].operator
        assert isinstance(operator, RemoteWorkerOperator), "the compiler gives every remote node one"
        node = self._state.node(spec.id)
        context = execution_context(self._plan, self._state, spec.id)
        item_id = item_id_of(self._state.execution_id, spec.id, len(node.items) + 1)
        try:
            envelope = operator.envelope(inputs, context, instant(self._at_ms))
        except EnvelopeError as error:
            self._fail(spec.id, Failure(NodeError("EnvelopeError", str(error)), retryable=False))
            return
        item = work_item(operator, context, item_id, envelope, spec.retry.attempts - node.retries_spent)
        topic = operator.worker_topic
        self._record(NodeSuspended, node_id=spec.id, item_id=item_id, worker_topic=topic, work_item=item)

    def _fail(self, node_id: str, failure: Failure) -> None:
        spent, error = self._state.node(node_id).retries_spent, failure.error
        seed = f"{self._state.execution_id}/{node_id}/{spent + failure.cost}"
        match react(self._plan.nodes[node_id], failure, spent, seed):
            case Retry(retries_spent, delay_ms):
                due_ms = self._at_ms + delay_ms
                self._record(NodeRetried, node_id=node_id, retries_spent=retries_spent, due_ms=due_ms, error=error)
            case FallBack(value):
                self._record(NodeFellBack, node_id=node_id, output=value, error=error)
            case GiveUp():
                self._record(NodeFailed, node_id=node_id, error=error)

    def _finish(self) -> None:
        failed = any(self._state.node(node_id).status is NodeStatus.FAILED for node_id in self._plan.nodes)
        status = ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED
        if self._state.cancel_reason is not None:
            status = ExecutionStatus.CANCELLED
        self._record(GraphCompleted, status=status)
        self._actions.append(Finish())

    def _record(self, event_type: type[Event], **members: Any) -> None:  # noqa: ANN401 - each type has its own members
        event = event_type(sequence=self._state.sequence + 1, at_ms=self._at_ms, **members)
        self._events.append(event)
        self._state = apply(self._state, event)
        if isinstance(event, NodeEvent):
            self._touched[event.node_id] = None

    # ---- what is to be done ----

    def _act(self, node_id: str) -> None:
        """Draft what the state of a node wants done."""
        node = self._state.node(node_id)
        match node.status:
            case NodeStatus.RUNNING:
                self._actions.append(StartLocal(node_id, node.attempts, self._inputs[node_id]))
            case NodeStatus.SUSPENDED:
                self._actions.append(Enqueue(node_id, node.items[-1], node.work_item))
            case NodeStatus.RETRY_WAIT:
                self._actions.append(WaitUntil(node_id, node.due_ms))
            case _:
                pass


_LOST = frozenset({NodeStatus.FAILED, NodeStatus.SKIPPED})
"""Where a dependency stands that will never have an output."""
