"""Where one node stands, and how far the nodes of one scope have come: what an execution's state is made of."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from bloge_orchestrator.execution.events import (
    NodeCompleted,
    NodeEvent,
    NodeExpanded,
    NodeFailed,
    NodeFellBack,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeSuspended,
    SkipCause,
)
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.operators import Json


class NodeStatus(StrEnum):
    """Where a node stands."""

    PENDING = "PENDING"
    """It waits for its dependencies."""
    RUNNING = "RUNNING"
    """Its operator runs in this process, or the nodes inside it have begun and not all ended."""
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
class Expansion:
    """What is inside a sub-graph or a foreach, in the node's present attempt."""

    terminals: tuple[str, ...]
    """The nodes inside whose outputs make the output."""
    size: int
    """How many nodes there are inside, for each item of a foreach."""
    count: int | None
    """How many items a foreach has; None for a sub-graph."""
    kept: dict[str, Json] = field(default_factory=dict, compare=False, repr=False)
    """What was evaluated for the inside. It follows from the events before; it is kept only to save the work."""


class NodeState(NamedTuple):
    """One node. Times are milliseconds since 1970."""

    status: NodeStatus = NodeStatus.PENDING
    started_ms: int | None = None
    """When its first attempt began."""
    attempt_ms: int | None = None
    """When its present attempt began."""
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
    expansion: Expansion | None = None
    """What is inside a sub-graph or a foreach that has begun."""
    output: Json = None
    error: NodeError | None = None
    """The last one; set for a completed node too if an attempt failed before."""
    reason: str = ""
    """SKIPPED: why."""
    skip_cause: SkipCause | None = None
    """SKIPPED: what kind of reason it is."""

    @property
    def lost(self) -> bool:
        """Whether what depends on the node can never start."""
        if self.status is NodeStatus.SKIPPED:
            return self.skip_cause is not SkipCause.NOT_CHOSEN
        return self.status is NodeStatus.FAILED


class ScopeState(NamedTuple):
    """How far the nodes of one scope have come: the graph's own, those of a sub-graph, or of one item of a foreach."""

    ended: int = 0
    """How many have ended."""
    failed: str = ""
    """Id of the first that failed; empty if none has."""


class ItemCount(NamedTuple):
    """How far the items of a foreach have come, in its present attempt."""

    begun: int = 0
    """Items that something has happened in. They begin in order."""
    ended: int = 0
    """Items in which every node has ended."""


def node_after(node: NodeState, event: NodeEvent, output: Json) -> NodeState:
    """Give the state of a node after one more event; `output` is what a NODE_COMPLETED completes it with."""
    match event:
        case NodeStarted():
            return _started(node, event)
        case NodeExpanded():
            return node._replace(expansion=Expansion(event.terminals, event.size, event.count))
        case NodeSuspended():
            items = (*node.items, event.item_id)
            return node._replace(status=NodeStatus.SUSPENDED, items=items, work_item=event.work_item)
        case NodeResumed():
            return _resumed(node, event)
        case NodeRetried():
            spent, due_ms = event.retries_spent, event.due_ms
            return node._replace(status=NodeStatus.RETRY_WAIT, retries_spent=spent, due_ms=due_ms, error=event.error)
        case _:
            return _ended(node, event, output)


def _started(node: NodeState, event: NodeStarted) -> NodeState:
    return node._replace(
        status=NodeStatus.RUNNING,
        started_ms=event.at_ms if node.started_ms is None else node.started_ms,
        attempt_ms=event.at_ms,
        attempts=event.attempt,
        expansion=None,
    )


def _resumed(node: NodeState, event: NodeResumed) -> NodeState:
    workers = (*node.workers, event.worker_id) if event.worker_id else node.workers
    # It stays suspended until the event that says what came of it, so that a journal that ends between the two leaves
    # an outcome that is taken again, not one that is lost.
    return node._replace(workers=workers, attempts=node.retries_spent + event.retry_count + 1)


def _ended(node: NodeState, event: NodeEvent, output: Json) -> NodeState:
    ends: dict[str, Any]
    match event:
        case NodeCompleted():
            ends = {"status": NodeStatus.COMPLETED, "output": output}
        case NodeFellBack():
            ends = {"status": NodeStatus.FELL_BACK, "output": event.output, "error": event.error}
        case NodeFailed():
            ends = {"status": NodeStatus.FAILED, "error": event.error}
        case NodeSkipped():
            ends = {"status": NodeStatus.SKIPPED, "reason": event.reason, "skip_cause": event.cause}
        case _:
            return node
    return node._replace(ended_ms=event.at_ms, work_item=b"", **ends)
