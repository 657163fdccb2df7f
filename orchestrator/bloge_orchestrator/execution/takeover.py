"""What a process has to do that takes an execution over, from any event of its journal on."""

from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.actions import CancelItem
from bloge_orchestrator.execution.draft import Draft
from bloge_orchestrator.execution.events import ExecutionStatus
from bloge_orchestrator.execution.failure import CANCELLED
from bloge_orchestrator.execution.scheduling import end_scope, go_on, go_on_with_items, is_alive, start_ready
from bloge_orchestrator.execution.state import NodeStatus
from bloge_orchestrator.execution.withdrawal import cancel, scopes_inside
from bloge_orchestrator.graph import NodeKind


def take_over(draft: Draft) -> None:
    """Draft the actions of every node that has begun and not ended, and what the last decision did not get to."""
    _cancel_again(draft)
    if draft.state.status is not ExecutionStatus.RUNNING:
        return
    if draft.state.cancel_reason is None:
        _visit(draft, paths.GRAPH)
    else:
        cancel(draft)
        end_scope(draft, paths.GRAPH)


def _cancel_again(draft: Draft) -> None:
    """Cancel the work items of nodes that were given up: it is harmless twice, and may not have happened once."""
    for path, node in sorted(draft.state.nodes.items()):
        topic = draft.plan.node(path).spec.worker_topic
        given_up = node.status is NodeStatus.FAILED and node.error is not None and node.error.type == CANCELLED
        if given_up and node.items and topic is not None:
            draft.actions.append(CancelItem(topic, node.items[-1]))


def _visit(draft: Draft, scope: str) -> None:
    """Go through the nodes of a scope in which something has happened."""
    names = draft.plan.scope(scope).nodes
    for name in names:
        path = paths.path_of(scope, name)
        status = draft.node(path).status
        if status is not NodeStatus.PENDING and not status.ended:
            draft.touch(path)
        if status is NodeStatus.RUNNING:
            _go_on(draft, path)
    if is_alive(draft, scope):
        start_ready(draft, scope, names)
        end_scope(draft, scope)


def _go_on(draft: Draft, path: str) -> None:
    if draft.node(path).expansion is None:
        go_on(draft, path)
        return
    for scope in scopes_inside(draft.state, path):
        _visit(draft, scope)
    if draft.plan.node(path).spec.kind is NodeKind.FOREACH and draft.node(path).status is NodeStatus.RUNNING:
        go_on_with_items(draft, path)
