"""Where an execution stands: a pure fold over its events.

Its maps are persistent: the state after an event shares all but a few parts with the state before it. It is made of
named tuples, because a tuple is copied with one change several times as fast as a data class.
"""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

from rpds import HashTrieMap

from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.events import (
    NODE_ENDS,
    Event,
    ExecutionStatus,
    GraphCancelled,
    GraphCompleted,
    GraphStarted,
    NodeCompleted,
    NodeEvent,
    NodeExpanded,
    NodeFailed,
)
from bloge_orchestrator.execution.node_state import ItemCount, NodeState, NodeStatus, ScopeState, node_after
from bloge_orchestrator.operators import Json

__all__ = ["ExecutionState", "NodeState", "NodeStatus", "apply", "fold", "gathered"]


_NO_NODES: "HashTrieMap[str, NodeState]" = HashTrieMap()
_NO_SCOPES: "HashTrieMap[str, ScopeState]" = HashTrieMap()
_NO_COUNTS: "HashTrieMap[str, ItemCount]" = HashTrieMap()


class ExecutionState(NamedTuple):
    """One execution."""

    sequence: int = 0
    """Sequence number of its last event."""
    status: ExecutionStatus = ExecutionStatus.PENDING
    execution_id: str = ""
    namespace: str = ""
    business_key: str = ""
    input: Json = None
    started_ms: int = 0
    ended_ms: int | None = None
    cancel_reason: str | None = None
    nodes: "HashTrieMap[str, NodeState]" = _NO_NODES
    """By path: the nodes that something has happened to."""
    scopes: "HashTrieMap[str, ScopeState]" = _NO_SCOPES
    """The scopes in which something has happened."""
    item_counts: "HashTrieMap[str, ItemCount]" = _NO_COUNTS
    """By path: the foreach that have begun."""

    def node(self, path: str) -> NodeState:
        """Give the state of a node."""
        return self.nodes.get(path, _UNTOUCHED)

    def scope(self, scope: str) -> ScopeState:
        """Give the state of a scope."""
        return self.scopes.get(scope, _UNBEGUN)

    def items(self, path: str) -> ItemCount:
        """Give how far the items of a foreach have come."""
        return self.item_counts.get(path, _NO_ITEMS)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.ended_ms is not None


_UNTOUCHED = NodeState()
_UNBEGUN = ScopeState()
_NO_ITEMS = ItemCount()


def fold(events: Iterable[Event], state: ExecutionState | None = None) -> ExecutionState:
    """Give the state after some events, from the beginning or from an earlier state."""
    return reduce(apply, events, state or ExecutionState())


def apply(state: ExecutionState, event: Event) -> ExecutionState:
    """Give the state after one more event."""
    match event:
        case NodeEvent():
            return _after_node_event(state, event)
        case GraphStarted():
            return _graph_started(state, event)
        case GraphCancelled():
            return state._replace(sequence=event.sequence, cancel_reason=event.reason)
        case GraphCompleted():
            return state._replace(sequence=event.sequence, status=event.status, ended_ms=event.at_ms)
        case _:
            return state._replace(sequence=event.sequence)


def _graph_started(state: ExecutionState, event: GraphStarted) -> ExecutionState:
    return state._replace(
        sequence=event.sequence,
        status=ExecutionStatus.RUNNING,
        execution_id=event.execution_id,
        namespace=event.namespace,
        business_key=event.business_key,
        input=event.input,
        started_ms=event.at_ms,
    )


def _after_node_event(state: ExecutionState, event: NodeEvent) -> ExecutionState:
    output = _output_of(state, event) if isinstance(event, NodeCompleted) else None
    node = node_after(state.node(event.node_id), event, output)
    scope = paths.scope_of(event.node_id)
    before = state.scopes.get(scope)
    after = _scope_after(before or _UNBEGUN, event)
    return state._replace(
        sequence=event.sequence,
        nodes=state.nodes.insert(event.node_id, node),
        scopes=state.scopes if after is before else state.scopes.insert(scope, after),
        item_counts=_item_counts(state, event, scope, before, after),
    )


def _scope_after(scope: ScopeState, event: NodeEvent) -> ScopeState:
    if not isinstance(event, NODE_ENDS):
        return scope
    failed = scope.failed or (paths.name_of(event.node_id) if isinstance(event, NodeFailed) else "")
    return ScopeState(scope.ended + 1, failed)


def _item_counts(
    state: ExecutionState, event: NodeEvent, scope: str, before: ScopeState | None, after: ScopeState
) -> "HashTrieMap[str, ItemCount]":
    """Count the items of a foreach that begin, with the first event in them, or end, with the last node in them."""
    counts = state.item_counts
    if isinstance(event, NodeExpanded) and event.count is not None:
        return counts.insert(event.node_id, _NO_ITEMS)
    if not scope.endswith("]"):
        return counts
    foreach = paths.around(scope).node_id
    expansion = state.node(foreach).expansion
    assert expansion is not None, "items begin after their foreach"
    begins, ends = before is None, isinstance(event, NODE_ENDS) and after.ended == expansion.size
    if not begins and not ends:
        return counts
    count = counts[foreach]
    return counts.insert(foreach, ItemCount(count.begun + begins, count.ended + ends))


def _output_of(state: ExecutionState, event: NodeCompleted) -> Json:
    return gathered(state, event.node_id) if event.gathered else event.output


def gathered(state: ExecutionState, path: str) -> Json:
    """Give the outputs of the nodes inside a sub-graph or a foreach, as its own output.

    A sub-graph gives an object with the output of each of its terminal nodes that has one. A foreach gives a list of
    such objects in the order of its items, with null for an item that failed.
    """
    node = state.node(path)
    expansion = node.expansion
    assert expansion is not None, "it has begun"
    if expansion.count is None:
        return _outputs_of(state, paths.inside_of(path, node.attempts), expansion.terminals)
    scopes = [paths.inside_of(path, node.attempts, index) for index in range(expansion.count)]
    return [None if state.scope(scope).failed else _outputs_of(state, scope, expansion.terminals) for scope in scopes]


def _outputs_of(state: ExecutionState, scope: str, terminals: tuple[str, ...]) -> dict[str, Json]:
    inside = {name: state.node(paths.path_of(scope, name)) for name in terminals}
    return {name: node.output for name, node in inside.items() if node.status.has_output}
