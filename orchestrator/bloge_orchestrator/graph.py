"""The compiled graph as immutable data: what an execution records, and what its scheduler decides on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

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
    BRANCH = "BRANCH"
    """Nowhere: it chooses which of its targets run. Its output is the list of their ids."""
    FOREACH = "FOREACH"
    """By the nodes inside it, once for each item of a list."""
    SUBGRAPH = "SUBGRAPH"
    """By the nodes of another graph."""


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


class OnItemFailure(StrEnum):
    """What an item that fails does to its foreach."""

    FAIL = "FAIL"
    """The foreach fails at once; what runs of the other items is withdrawn."""
    CONTINUE = "CONTINUE"
    """The other items go on; the failed one is null in the output."""


class SubgraphScope(StrEnum):
    """What the inside of a sub-graph sees."""

    ISOLATED = "ISOLATED"
    """The sub-graph's input, as `ctx`."""
    PARENT = "PARENT"
    """The nodes around it too, and the `ctx` around it with the sub-graph's input laid over it."""


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
class BranchArm:
    """`value -> target`: the nodes that run if the value equals the branch's subject."""

    value: Expression
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BranchSpec:
    """What a branch decides on. `inclusive` takes every arm that fits, otherwise the first one counts."""

    subject: Expression
    arms: tuple[BranchArm, ...]
    otherwise: tuple[str, ...] = ()
    inclusive: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """Every node that the branch may choose, once."""
        return tuple(dict.fromkeys(each for targets in (*self._of_arms(), self.otherwise) for each in targets))

    def _of_arms(self) -> tuple[tuple[str, ...], ...]:
        return tuple(arm.targets for arm in self.arms)


@dataclass(frozen=True, slots=True)
class ForeachSpec:
    """What a foreach repeats. Its body sees the nodes around it, and the item and its index by their names."""

    items: Expression
    item_name: str
    body: "tuple[NodeSpec, ...]"
    index_name: str | None = None
    max_concurrency: int | None = None
    """How many items may be in work at a time; 1 for one after the other, None for all."""
    on_item_failure: OnItemFailure = OnItemFailure.FAIL


@dataclass(frozen=True, slots=True)
class SubgraphSpec:
    """The graph that a sub-graph node stands for, as a whole: an execution records what it runs."""

    graph: "GraphSpec"
    scope: SubgraphScope = SubgraphScope.ISOLATED


Construct: TypeAlias = BranchSpec | ForeachSpec | SubgraphSpec
"""What a node has that is no operator."""


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
    construct: Construct | None = None
    """Set exactly for a branch, a foreach and a sub-graph."""

    @property
    def inside(self) -> "tuple[NodeSpec, ...]":
        """The nodes of a foreach or a sub-graph; none for other nodes."""
        match self.construct:
            case ForeachSpec():
                return self.construct.body
            case SubgraphSpec():
                return self.construct.graph.nodes
            case _:
                return ()

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
