"""The compiled graph as immutable data: what an execution records, and what its scheduler decides on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.operators import Json


class NodeKind(StrEnum):
    """Where a node's work is done."""

    LOCAL = "LOCAL"
    """By an operator of this process."""
    REMOTE = "REMOTE"
    """By a worker, through a work item."""
    TRANSFORM = "TRANSFORM"
    """Nowhere: its evaluated input is its output."""


class BackoffStrategy(StrEnum):
    """How the wait before a retry grows with the number of retries already made."""

    FIXED = "FIXED"
    EXPONENTIAL = "EXPONENTIAL"
    JITTER = "JITTER"


class OnDeadLetter(StrEnum):
    """What a suspended node does when its work item is dead-lettered."""

    KEEP_SUSPENDED = "KEEP_SUSPENDED"
    """Wait for a replay or the suspend deadline."""
    RESUME_WITH_FAILURE = "RESUME_WITH_FAILURE"
    """Resume at once with the failure."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The retry budget of a node. `attempts` counts retries, so 3 allows up to four attempts; 0 allows one."""

    attempts: int = 0
    backoff: timedelta = timedelta(seconds=1)
    strategy: BackoffStrategy = BackoffStrategy.FIXED
    max_backoff: timedelta | None = None
    non_retryable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fallback:
    """The output a node takes when all else failed. A fallback of null is not the same as no fallback."""

    value: Json


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """A declared type: a scalar or schema name, the fields of an object, or the type of a list's items."""

    name: str | None = None
    fields: Mapping[str, "TypeSpec"] | None = None
    items: "TypeSpec | None" = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node. `depends_on` holds the explicit dependencies first, then those found in its expressions."""

    id: str
    operator_ref: str
    kind: NodeKind
    input: Mapping[str, Expression] = field(default_factory=dict)
    locals: Mapping[str, Expression] = field(default_factory=dict)
    """Names a transform computes before its fields, in the order of evaluation."""
    depends_on: tuple[str, ...] = ()
    timeout: timedelta | None = None
    retry: RetryPolicy = RetryPolicy()
    fallback: Fallback | None = None
    on_dead_letter: OnDeadLetter = OnDeadLetter.KEEP_SUSPENDED
    worker_topic: str | None = None
    output: TypeSpec | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """The attributes a remote node shows to tools: `execution_mode` and `worker_topic`; empty for other nodes."""
        if self.worker_topic is None:
            return {}
        return {"execution_mode": "remote", "worker_topic": self.worker_topic}


@dataclass(frozen=True)
class GraphSpec:
    """A whole graph, its nodes in the order of declaration. A compiled graph has no cycle."""

    name: str
    nodes: tuple[NodeSpec, ...]
    schemas: Mapping[str, TypeSpec] = field(default_factory=dict)
    input: TypeSpec | None = None
    output: TypeSpec | None = None

    @cached_property
    def by_id(self) -> Mapping[str, NodeSpec]:
        """The nodes by id."""
        return {node.id: node for node in self.nodes}
