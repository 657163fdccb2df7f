"""The scheduler: what to record and what to do about a happening. Without I/O and without a clock."""

from dataclasses import dataclass

from bloge_orchestrator.durations import format_duration
from bloge_orchestrator.execution.actions import Acknowledge, Action
from bloge_orchestrator.execution.draft import Draft
from bloge_orchestrator.execution.events import (
    Event,
    ExecutionStatus,
    GraphCancelled,
    GraphStarted,
    NodeResumed,
)
from bloge_orchestrator.execution.failure import TIMED_OUT, Failure, NodeError
from bloge_orchestrator.execution.happenings import (
    Begun,
    CancelAsked,
    DeadlinePassed,
    EnqueueRefused,
    Happening,
    OperatorFailed,
    OperatorReturned,
    OutcomeArrived,
    RetryDue,
)
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.scheduling import follow, start
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus
from bloge_orchestrator.execution.takeover import take_over
from bloge_orchestrator.execution.withdrawal import cancel, withdraw
from bloge_orchestrator.execution.work_items import ItemOutcome, output_of


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
    draft = Draft(plan, state, at_ms)
    _take(draft, happening)
    return _decision(draft)


def resume(plan: Plan, state: ExecutionState, at_ms: int) -> Decision:
    """Decide what a process has to do that takes an execution over.

    There are events only if the journal ends in the middle of a decision, or if this process has other secrets.
    """
    draft = Draft(plan, state, at_ms)
    take_over(draft)
    return _decision(draft)


def _decision(draft: Draft) -> Decision:
    follow(draft)
    return Decision(tuple(draft.events), draft.all_actions(), draft.state)


def _take(draft: Draft, happening: Happening) -> None:
    """Draft what is to be recorded of a happening."""
    match happening:
        case Begun() if draft.state.status is ExecutionStatus.PENDING:
            _begin(draft, happening)
        case CancelAsked(reason) if draft.state.status is ExecutionStatus.RUNNING and draft.state.cancel_reason is None:
            draft.record(GraphCancelled, reason=reason)
            cancel(draft)
        case OutcomeArrived(worker_topic, outcome):
            _take_outcome(draft, worker_topic, outcome)
        case _:
            _take_news_of_node(draft, happening)


def _take_news_of_node(draft: Draft, happening: Happening) -> None:
    match happening:
        case OperatorReturned(path, attempt, output) if _runs(draft, path, attempt):
            draft.complete(path, output)
        case OperatorFailed(path, attempt, failure) if _runs(draft, path, attempt):
            draft.fail(path, failure)
        case EnqueueRefused(path, item_id, error) if _waits_for(draft, path, item_id):
            draft.fail(path, Failure(error, retryable=False))
        case RetryDue(path) if draft.node(path).status is NodeStatus.RETRY_WAIT:
            start(draft, path)
        case DeadlinePassed(path, attempt) if _runs(draft, path, attempt):
            _time_out(draft, path, attempt)
        case _:
            pass


def _begin(draft: Draft, begun: Begun) -> None:
    draft.record(
        GraphStarted,
        execution_id=begun.execution_id,
        namespace=begun.namespace,
        business_key=begun.business_key,
        graph_name=draft.plan.graph.spec.name,
        graph_hash=draft.plan.graph.content_hash,
        input=begun.input,
    )


def _take_outcome(draft: Draft, worker_topic: str, outcome: ItemOutcome) -> None:
    """Record the first outcome of an item that a node waits for; any other is only acknowledged."""
    draft.actions.append(Acknowledge(worker_topic, outcome.item_id))
    path = outcome.node_id
    if not _waits_for(draft, path, outcome.item_id):
        return
    draft.record(
        NodeResumed,
        node_id=path,
        item_id=outcome.item_id,
        outcome=outcome.kind,
        worker_id=outcome.worker_id,
        retry_count=outcome.retry_count,
        dead_letter_reason=outcome.dead_letter_reason,
    )
    result = output_of(outcome, draft.plan.node(path).spec.timeout)
    if isinstance(result, Failure):
        draft.fail(path, result)
    else:
        draft.complete(path, result)


def _time_out(draft: Draft, path: str, attempt: int) -> None:
    """Give up an attempt of a sub-graph that takes too long."""
    timeout = draft.plan.node(path).spec.timeout
    assert timeout is not None, "it has a deadline"
    message = f"attempt {attempt} took longer than {format_duration(timeout)}"
    withdraw(draft, path, f"{path}: {message}")
    draft.fail(path, Failure(NodeError(TIMED_OUT, message)))


def _runs(draft: Draft, path: str, attempt: int) -> bool:
    node = draft.node(path)
    return node.status is NodeStatus.RUNNING and node.attempts == attempt


def _waits_for(draft: Draft, path: str, item_id: str) -> bool:
    node = draft.node(path)
    return node.status is NodeStatus.SUSPENDED and node.items[-1] == item_id
