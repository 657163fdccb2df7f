"""The events of an execution: what its journal holds, and all that its state is made of."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar

from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.operators import Json


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    """All that could run has run, and nothing failed."""
    FAILED = "FAILED"
    """All that could run has run, and something failed."""
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (ExecutionStatus.PENDING, ExecutionStatus.RUNNING)


class OutcomeKind(StrEnum):
    """How a work item ended."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


class SkipCause(StrEnum):
    """What kind of reason a node was skipped for."""

    NOT_CHOSEN = "NOT_CHOSEN"
    """A branch did not choose it, or anything it depends on; what depends on it may still run without it."""
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    """What it depends on failed; what depends on it is skipped too."""
    CANCELLED = "CANCELLED"
    """The execution was cancelled, or what the node stands in was given up."""


class EventError(ValueError):
    """A document is not an event that this version knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. Sequence numbers count from 1 without gaps in each execution."""

    TYPE: ClassVar[str]

    sequence: int
    at_ms: int
    """When it was decided, in milliseconds since 1970 by the orchestrator's clock."""

    @classmethod
    def members(cls) -> list[str]:
        """Give the names of what belongs to this type of event, as in JSON."""
        return [_camel(name) for name in _own_names(cls)]

    def data(self) -> dict[str, Json]:
        """Give what belongs to this type of event as a JSON object with camel-case keys."""
        own = (field.name for field in fields(self) if field.name not in _COMMON)
        return {_camel(name): _encoded(getattr(self, name)) for name in own}

    def to_json(self) -> dict[str, Json]:
        """Give the whole event as a JSON object."""
        node = {"nodeId": self.node_id} if isinstance(self, NodeEvent) else {}
        return {"sequence": self.sequence, "type": self.TYPE, "atMs": self.at_ms, **node, "data": self.data()}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphStarted(Event):
    """The execution began."""

    TYPE = "GRAPH_STARTED"

    execution_id: str
    namespace: str
    business_key: str
    graph_name: str
    graph_hash: str
    input: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCancelled(Event):
    """Somebody asked for the execution's end; what runs is withdrawn, nothing more begins."""

    TYPE = "GRAPH_CANCELLED"

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCompleted(Event):
    """Nothing is left to do."""

    TYPE = "GRAPH_COMPLETED"

    status: ExecutionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent(Event):
    """Something that happened to a node."""

    node_id: str
    """The node's path, which is its id unless it stands inside another node: see `paths`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStarted(NodeEvent):
    """An attempt begins here, or a remote node is about to be suspended."""

    TYPE = "NODE_STARTED"

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeExpanded(NodeEvent):
    """The inside of a sub-graph or a foreach begins, anew in each attempt. Says all that its output is gathered by."""

    TYPE = "NODE_EXPANDED"

    count: int | None
    """How many items a foreach has; None for a sub-graph."""
    size: int
    """How many nodes there are inside, for each item."""
    terminals: tuple[str, ...]
    """Ids of the nodes inside whose outputs can be seen from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSuspended(NodeEvent):
    """The node waits for the outcome of a work item. Recorded before the item is enqueued, with its exact bytes."""

    TYPE = "NODE_SUSPENDED"

    item_id: str
    worker_topic: str
    work_item: bytes
    """The encoded `WorkItemSpec`, envelope included: what is enqueued, and enqueued again after a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResumed(NodeEvent):
    """The outcome of the node's work item is recorded. What came of it is the next event of the node."""

    TYPE = "NODE_RESUMED"

    item_id: str
    outcome: OutcomeKind
    worker_id: str
    """The worker whose report was accepted; empty if none led here."""
    retry_count: int
    """Retries that the item spent."""
    dead_letter_reason: str
    """Empty if the item was no dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRetried(NodeEvent):
    """An attempt failed; another one follows."""

    TYPE = "NODE_RETRIED"

    retries_spent: int
    due_ms: int
    error: NodeError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCompleted(NodeEvent):
    """The node has its output."""

    TYPE = "NODE_COMPLETED"

    output: Json = None
    gathered: bool = False
    """True: the output is made of those of the nodes inside, which are recorded already, and is not repeated here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFellBack(NodeEvent):
    """The node failed and took its fallback as output."""

    TYPE = "NODE_FELL_BACK"

    output: Json
    error: NodeError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFailed(NodeEvent):
    """The node has no output and never will."""

    TYPE = "NODE_FAILED"

    error: NodeError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSkipped(NodeEvent):
    """The node will not be started."""

    TYPE = "NODE_SKIPPED"

    reason: str
    """For people."""
    cause: SkipCause


NODE_ENDS = (NodeCompleted, NodeFellBack, NodeFailed, NodeSkipped)
"""The last event of a node is one of these."""

EVENT_TYPES: tuple[type[Event], ...] = (
    GraphStarted,
    GraphCancelled,
    GraphCompleted,
    NodeStarted,
    NodeExpanded,
    NodeSuspended,
    NodeResumed,
    NodeRetried,
    NodeCompleted,
    NodeFellBack,
    NodeFailed,
    NodeSkipped,
)
_TYPES = {cls.TYPE: cls for cls in EVENT_TYPES}
_COMMON = frozenset({"sequence", "at_ms", "node_id"})
_DECODERS: Mapping[tuple[str, str], Any] = {
    ("GRAPH_COMPLETED", "status"): ExecutionStatus,
    ("NODE_EXPANDED", "terminals"): tuple,
    ("NODE_SUSPENDED", "work_item"): base64.b64decode,
    ("NODE_RESUMED", "outcome"): OutcomeKind,
    ("NODE_RETRIED", "error"): NodeError.from_json,
    ("NODE_FELL_BACK", "error"): NodeError.from_json,
    ("NODE_FAILED", "error"): NodeError.from_json,
    ("NODE_SKIPPED", "cause"): SkipCause,
}


def event_from_json(document: Mapping[str, Any]) -> Event:
    """Read what `Event.to_json` gave.

    Raises:
        EventError: If it is not an event of a known type with all its members.

    """
    try:
        cls = _TYPES[document["type"]]
        data = document["data"]
        own = {name: _decoded(cls.TYPE, name, data[_camel(name)]) for name in _own_names(cls)}
        node = {"node_id": document["nodeId"]} if issubclass(cls, NodeEvent) else {}
        return cls(sequence=document["sequence"], at_ms=document["atMs"], **node, **own)
    except (KeyError, TypeError, ValueError) as error:
        raise EventError(f"not an event: {error!r}; a later release may have written it") from error


def _own_names(cls: type[Event]) -> list[str]:
    return [field.name for field in fields(cls) if field.name not in _COMMON]


def _encoded(value: Json) -> Json:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):
        return list(value)
    return value.to_json() if isinstance(value, NodeError) else value


def _decoded(event_type: str, name: str, value: Json) -> Json:
    decoder = _DECODERS.get((event_type, name))
    return value if decoder is None else decoder(value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
