"""Where an execution stands: a pure fold over its events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce

from bloge_orchestrator.execution.events import (
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
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.operators import Json


class NodeStatus(StrEnum):
    """Where a node stands."""

    PENDING = "PENDING"
    """It waits for its dependencies."""
    RUNNING = "RUNNING"
    """Its operator runs in this process."""
    SUSPENDED = "SUSPENDED"
    """It waits for the outcome of a work item."""
    RETRY_WAIT = "RETRY_WAIT"
    """It waits for its next attempt."""
    COMPLETED = "COMPLETED"
    FELL_BACK = "FELL_BACK"
    """It failed, and has its fallback as output."""
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the node."""
        return self in _ENDED

    @property
    def has_output(self) -> bool:
        """Whether what depends on the node may start."""
        return self in (NodeStatus.COMPLETED, NodeStatus.FELL_BACK)


_ENDED = frozenset({NodeStatus.COMPLETED, NodeStatus.FELL_BACK, NodeStatus.FAILED, NodeStatus.SKIPPED})


@dataclass(frozen=True, slots=True)
class NodeState:
    """One node. Times are milliseconds since 1970."""

    status: NodeStatus = NodeStatus.PENDING
    started_ms: int | None = None
    """When its first attempt began."""
    ended_ms: int | None = None
    attempts: int = 0
    """Attempts made, at workers too as far as they are known."""
    retries_spent: int = 0
    due_ms: int = 0
    """RETRY_WAIT: when the next attempt is due."""
    items: tuple[str, ...] = ()
    """Ids of its work items, in order."""
    work_item: bytes = b""
    """SUSPENDED: the encoded item that it waits for."""
    workers: tuple[str, ...] = ()
    """Workers whose reports were accepted, in order."""
    output: Json = None
    error: NodeError | None = None
    """The last one; set for a completed node too if an attempt failed before."""
    reason: str = ""
    """SKIPPED: why."""


@dataclass(frozen=True, slots=True)
class ExecutionState:
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
    nodes: Mapping[str, NodeState] = field(default_factory=dict)
    """The nodes that something has happened to."""

    def node(self, node_id: str) -> NodeState:
        """Give the state of a node."""
        return self.nodes.get(node_id, _UNTOUCHED)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.ended_ms is not None


_UNTOUCHED = NodeState()


def fold(events: Iterable[Event], state: ExecutionState | None = None) -> ExecutionState:
    """Give the state after some events, from the beginning or from an earlier state."""
    return reduce(apply, events, state or ExecutionState())


def apply(state: ExecutionState, event: Event) -> ExecutionState:
    """Give the state after one more event."""
    state = replace(state, sequence=event.sequence)
    match event:
        case GraphStarted():
            return _graph_started(state, event)
        case GraphCancelled():
            return replace(state, cancel_reason=event.reason)
        case GraphCompleted():
            return replace(state, status=event.status, ended_ms=event.at_ms)
        case NodeEvent():
            node = _node_after(state.node(event.node_id), event)
            return replace(state, nodes={**state.nodes, event.node_id: node})
        case _:
            return state


def _graph_started(state: ExecutionState, event: GraphStarted) -> ExecutionState:
    return replace(
        state,
        status=ExecutionStatus.RUNNING,
        execution_id=event.execution_id,
        namespace=event.namespace,
        business_key=event.business_key,
        input=event.input,
        started_ms=event.at_ms,
    )


def _node_after(node: NodeState, event: NodeEvent) -> NodeState:
    match event:
        case NodeStarted():
            return _started(node, event)
        case NodeSuspended():
            items = (*node.items, event.item_id)
            return replace(node, status=NodeStatus.SUSPENDED, items=items, work_item=event.work_item)
        case NodeResumed():
            return _resumed(node, event)
        case NodeRetried():
            spent, due_ms = event.retries_spent, event.due_ms
            return replace(node, status=NodeStatus.RETRY_WAIT, retries_spent=spent, due_ms=due_ms, error=event.error)
        case _:
            return _ended(node, event)


def _started(node: NodeState, event: NodeStarted) -> NodeState:
    first_ms = event.at_ms if node.started_ms is None else node.started_ms
    return replace(node, status=NodeStatus.RUNNING, started_ms=first_ms, attempts=event.attempt)


def _resumed(node: NodeState, event: NodeResumed) -> NodeState:
    workers = (*node.workers, event.worker_id) if event.worker_id else node.workers
    # It stays suspended until the event that says what came of it, so that a journal that ends between the two leaves
    # an outcome that is taken again, not one that is lost.
    return replace(node, workers=workers, attempts=node.retries_spent + event.retry_count + 1)


def _ended(node: NodeState, event: NodeEvent) -> NodeState:
    node = replace(node, ended_ms=event.at_ms, work_item=b"")
    match event:
        case NodeCompleted():
            return replace(node, status=NodeStatus.COMPLETED, output=event.output)
        case NodeFellBack():
            return replace(node, status=NodeStatus.FELL_BACK, output=event.output, error=event.error)
        case NodeFailed():
            return replace(node, status=NodeStatus.FAILED, error=event.error)
        case NodeSkipped():
            return replace(node, status=NodeStatus.SKIPPED, reason=event.reason)
        case _:
            return node
