"""Gives up what has begun: running attempts are stopped, work items cancelled, and every node has its end."""

from collections.abc import Iterator

from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.actions import CancelItem, StopLocal
from bloge_orchestrator.execution.draft import Draft
from bloge_orchestrator.execution.events import NodeFailed, NodeSkipped, SkipCause
from bloge_orchestrator.execution.failure import CANCELLED, NodeError
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus


def cancel(draft: Draft) -> None:
    """Give up the whole execution, whose cancellation is recorded."""
    reason = draft.state.cancel_reason
    message = f"the execution was cancelled: {reason}" if reason else "the execution was cancelled"
    withdraw_scope(draft, paths.GRAPH, message)


def withdraw(draft: Draft, path: str, message: str) -> None:
    """Give up all that has begun and not ended inside a sub-graph or a foreach; the node itself goes on."""
    for scope in scopes_inside(draft.state, path):
        withdraw_scope(draft, scope, message)


def withdraw_scope(draft: Draft, scope: str, message: str) -> None:
    """Give up every node of a scope that has not ended, with all that is inside it."""
    for name in draft.plan.scope(scope).nodes:
        path = paths.path_of(scope, name)
        node = draft.node(path)
        if node.status is NodeStatus.PENDING:
            draft.record(NodeSkipped, node_id=path, reason=message, cause=SkipCause.CANCELLED)
        elif not node.status.ended:
            _stop(draft, path, message)
            draft.record(NodeFailed, node_id=path, error=NodeError(CANCELLED, message))


def scopes_inside(state: ExecutionState, path: str) -> Iterator[str]:
    """Give the scopes inside a running sub-graph or foreach in which something has happened and not all has ended."""
    node = state.node(path)
    expansion = node.expansion
    if expansion is None:
        return
    if expansion.count is None:
        yield paths.inside_of(path, node.attempts)
        return
    for index in range(state.items(path).begun):
        scope = paths.inside_of(path, node.attempts, index)
        if state.scope(scope).ended < expansion.size:
            yield scope


def _stop(draft: Draft, path: str, message: str) -> None:
    node = draft.node(path)
    if node.status is NodeStatus.SUSPENDED:
        topic = draft.plan.node(path).spec.worker_topic
        assert topic is not None, "only remote nodes are suspended"
        draft.actions.append(CancelItem(topic, node.items[-1]))
    elif node.status is NodeStatus.RUNNING and node.expansion is not None:
        withdraw(draft, path, message)
    elif node.status is NodeStatus.RUNNING:
        draft.actions.append(StopLocal(path, node.attempts))
