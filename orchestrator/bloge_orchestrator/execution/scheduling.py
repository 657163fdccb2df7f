"""What follows from events: which nodes start, what is inside them, and when a sub-graph, an item or all of it ends."""

from collections.abc import Iterable

from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.actions import Finish
from bloge_orchestrator.execution.draft import Draft
from bloge_orchestrator.execution.events import (
    ExecutionStatus,
    GraphCompleted,
    GraphStarted,
    NodeCompleted,
    NodeExpanded,
    NodeFailed,
    NodeFellBack,
    NodeSkipped,
    NodeStarted,
    NodeSuspended,
)
from bloge_orchestrator.execution.failure import CANCELLED, Failure, NodeError
from bloge_orchestrator.execution.inputs import branch_choice, foreach_items
from bloge_orchestrator.execution.plan import execution_context, instant
from bloge_orchestrator.execution.readiness import Ready, Unwanted, readiness
from bloge_orchestrator.execution.state import NodeStatus
from bloge_orchestrator.execution.withdrawal import withdraw
from bloge_orchestrator.execution.work_items import item_id_of, work_item
from bloge_orchestrator.expressions.evaluator import ExpressionError
from bloge_orchestrator.graph import ForeachSpec, NodeKind, OnItemFailure
from bloge_orchestrator.remote import EnvelopeError, RemoteWorkerOperator


def follow(draft: Draft) -> None:
    """Draft what follows from the events so far, to the end."""
    # A plain loop: the list grows while it is walked.
    for event in draft.events:
        match event:
            case GraphStarted():
                start_ready(draft, paths.GRAPH, draft.plan.graph.scope.roots)
            case NodeExpanded(node_id=path):
                _begin_inside(draft, path)
            case NodeCompleted() | NodeFellBack() | NodeFailed() | NodeSkipped():
                _after_end(draft, event.node_id)
            case _:
                pass


def _after_end(draft: Draft, path: str) -> None:
    scope = paths.scope_of(path)
    if not is_alive(draft, scope):
        return
    start_ready(draft, scope, draft.plan.scope(scope).followers[paths.name_of(path)])
    end_scope(draft, scope)


def is_alive(draft: Draft, scope: str) -> bool:
    """Tell whether anything may still begin in a scope: what it is the inside of runs, in the same attempt."""
    if not scope:
        return not draft.state.finished
    inside = paths.around(scope)
    node = draft.node(inside.node_id)
    return node.status is NodeStatus.RUNNING and node.attempts == inside.attempt


# ---- nodes start ----


def start_ready(draft: Draft, scope: str, names: Iterable[str]) -> None:
    """Start the nodes of a scope whose last dependency is done, and skip those that are not wanted."""
    inside = draft.plan.scope(scope)
    for name in names:
        path = paths.path_of(scope, name)
        if draft.node(path).status is not NodeStatus.PENDING:
            continue
        match readiness(inside, draft.state, scope, name):
            case Ready():
                start(draft, path)
            case Unwanted(cause, reason):
                draft.record(NodeSkipped, node_id=path, reason=reason, cause=cause)
            case None:
                pass


def start(draft: Draft, path: str) -> None:
    """Start a node, or its next attempt."""
    if draft.plan.node(path).spec.kind not in (NodeKind.TRANSFORM, NodeKind.BRANCH):
        draft.record(NodeStarted, node_id=path, attempt=draft.node(path).retries_spent + 1)
    go_on(draft, path)


def go_on(draft: Draft, path: str) -> None:
    """Give a node that has started what it needs: its output, its work item, its inside, or the input to run on."""
    match draft.plan.node(path).spec.kind:
        case NodeKind.FOREACH:
            _expand_foreach(draft, path)
        case NodeKind.BRANCH:
            _choose(draft, path)
        case kind:
            _use_input(draft, path, kind)


def _use_input(draft: Draft, path: str, kind: NodeKind) -> None:
    inputs = draft.evaluate(path)
    if inputs is None:
        return
    if kind is NodeKind.TRANSFORM:
        draft.complete(path, inputs)
    elif kind is NodeKind.SUBGRAPH:
        _expand(draft, path, None)
    elif kind is NodeKind.REMOTE:
        _suspend(draft, path, inputs)


def _choose(draft: Draft, path: str) -> None:
    try:
        draft.complete(path, branch_choice(draft.plan, draft.state, path, draft.at_ms))
    except ExpressionError as error:
        draft.fail_for_good(path, "ExpressionError", error)


def _suspend(draft: Draft, path: str, inputs: dict[str, object]) -> None:
    compiled, node = draft.plan.node(path), draft.node(path)
    assert isinstance(compiled.operator, RemoteWorkerOperator), "the compiler gives every remote node one"
    operator, context = compiled.operator, execution_context(draft.plan, draft.state, path)
    item_id = item_id_of(draft.state.execution_id, path, len(node.items) + 1)
    try:
        envelope = operator.envelope(inputs, context, instant(draft.at_ms))
    except EnvelopeError as error:
        draft.fail_for_good(path, "EnvelopeError", error)
        return
    item = work_item(operator, context, item_id, envelope, compiled.spec.retry.attempts - node.retries_spent)
    topic = operator.worker_topic
    draft.record(NodeSuspended, node_id=path, item_id=item_id, worker_topic=topic, work_item=item)


# ---- what is inside ----


def _expand_foreach(draft: Draft, path: str) -> None:
    try:
        items = foreach_items(draft.plan, draft.state, path, draft.at_ms)
    except ExpressionError as error:
        draft.fail_for_good(path, "ExpressionError", error)
        return
    _expand(draft, path, len(items))


def _expand(draft: Draft, path: str, count: int | None) -> None:
    inside = draft.plan.node(path).inside
    assert inside is not None, "a sub-graph or a foreach has nodes inside"
    size, terminals = len(inside.nodes), inside.terminals
    draft.record(NodeExpanded, node_id=path, count=count, size=size, terminals=terminals)


def _begin_inside(draft: Draft, path: str) -> None:
    node = draft.node(path)
    assert node.expansion is not None
    if node.expansion.count is None:
        scope = paths.inside_of(path, node.attempts)
        start_ready(draft, scope, draft.plan.scope(scope).roots)
    else:
        begin_items(draft, path)


def begin_items(draft: Draft, path: str) -> None:
    """Begin as many items of a foreach as may be in work at a time; after the last one, complete it."""
    node, foreach = draft.node(path), draft.plan.node(path)
    expansion = node.expansion
    assert expansion is not None
    assert expansion.count is not None
    assert isinstance(foreach.spec.construct, ForeachSpec)
    assert foreach.inside is not None
    begun, ended = draft.state.items(path)
    if ended == expansion.count:
        draft.record(NodeCompleted, node_id=path, gathered=True)
        return
    limit = foreach.spec.construct.max_concurrency or expansion.count
    for index in range(begun, min(ended + limit, expansion.count)):
        start_ready(draft, paths.inside_of(path, node.attempts, index), foreach.inside.roots)


def go_on_with_items(draft: Draft, path: str) -> None:
    """Draft what the items of a running foreach lead to, as far as it is not drafted yet."""
    attempt = draft.node(path).attempts
    for index in range(draft.state.items(path).begun):
        scope = paths.inside_of(path, attempt, index)
        if draft.state.scope(scope).failed and is_alive(draft, scope):
            end_scope(draft, scope)
    if draft.node(path).status is NodeStatus.RUNNING:
        begin_items(draft, path)


# ---- what ends ----


def end_scope(draft: Draft, scope: str) -> None:
    """Draft what follows if every node of a scope has ended."""
    if draft.state.scope(scope).ended < len(draft.plan.scope(scope).nodes):
        return
    if not scope:
        _finish(draft)
        return
    inside = paths.around(scope)
    if inside.index is None:
        _end_subgraph(draft, inside.node_id, scope)
    else:
        _end_item(draft, inside.node_id, scope)


def _finish(draft: Draft) -> None:
    status = ExecutionStatus.FAILED if draft.state.scope(paths.GRAPH).failed else ExecutionStatus.COMPLETED
    if draft.state.cancel_reason is not None:
        status = ExecutionStatus.CANCELLED
    draft.record(GraphCompleted, status=status)
    draft.actions.append(Finish())


def _end_subgraph(draft: Draft, path: str, scope: str) -> None:
    if draft.state.scope(scope).failed:
        draft.fail(path, _failure_inside(draft, scope))
    else:
        draft.record(NodeCompleted, node_id=path, gathered=True)


def _end_item(draft: Draft, path: str, scope: str) -> None:
    construct = draft.plan.node(path).spec.construct
    assert isinstance(construct, ForeachSpec)
    if draft.state.scope(scope).failed and construct.on_item_failure is OnItemFailure.FAIL:
        withdraw(draft, path, f"{scope} failed")
        draft.fail(path, _failure_inside(draft, scope))
    else:
        begin_items(draft, path)


def _failure_inside(draft: Draft, scope: str) -> Failure:
    """Give the first failure inside as that of the whole: its type, so that it can be told from others outside."""
    path = paths.path_of(scope, draft.state.scope(scope).failed)
    error = draft.node(path).error
    assert error is not None, "it failed"
    told = NodeError(error.type, f"{path} failed: {error.message}", error.business, error.details)
    cancelled = error.type == CANCELLED
    return Failure(told, retryable=not (cancelled or error.business), replaceable=not cancelled)
