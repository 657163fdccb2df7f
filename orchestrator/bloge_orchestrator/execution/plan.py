"""A compiled graph as executions need it: who depends on whom, and what each node is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from uuid import NAMESPACE_URL, UUID, uuid5

from bloge_orchestrator.compiler import CompiledGraph
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.graph import NodeKind, NodeSpec
from bloge_orchestrator.inputs import evaluate_input
from bloge_orchestrator.operators import ExecutionContext, Json

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What decisions are made on, besides the state. `secrets` serve secret() in expressions."""

    graph: CompiledGraph
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> Mapping[str, NodeSpec]:
        """The nodes by id, in the order of declaration."""
        return self.graph.spec.by_id

    @cached_property
    def dependents(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that depend on each node."""
        found: dict[str, list[str]] = {node_id: [] for node_id in self.nodes}
        for node in self.graph.spec.nodes:
            for dependency in dict.fromkeys(node.depends_on):
                found[dependency].append(node.id)
        return {node_id: tuple(dependents) for node_id, dependents in found.items()}

    @cached_property
    def worker_topics(self) -> tuple[str, ...]:
        """The topics that the graph's remote nodes are enqueued to."""
        return tuple(dict.fromkeys(node.worker_topic for node in self.graph.spec.nodes if node.worker_topic))

    @cached_property
    def result_nodes(self) -> tuple[str, ...]:
        """The nodes whose outputs are the graph's: those that nothing depends on, and the transforms."""
        return tuple(
            node.id for node in self.graph.spec.nodes if node.kind is NodeKind.TRANSFORM or not self.dependents[node.id]
        )


def node_input(plan: Plan, state: ExecutionState, node: NodeSpec, at_ms: int) -> dict[str, Json]:
    """Evaluate a node's input.

    now() is when the node started and uuid() depends on the execution, the node and how many were asked for before, so
    every attempt, and every process that takes the execution over, gives the node the same input.

    Args:
        plan: The graph.
        state: Where the execution stands.
        node: The node; its dependencies have ended with an output.
        at_ms: The time, for a node that has not started.

    Raises:
        ExpressionError: If a field has no value.

    """
    started_ms = state.node(node.id).started_ms
    now = instant(at_ms if started_ms is None else started_ms)
    numbers = count()

    def next_uuid() -> UUID:
        return uuid5(NAMESPACE_URL, f"bloge:{state.execution_id}/{node.id}/{next(numbers)}")

    context = EvaluationContext(
        input=state.input,
        outputs={dependency: state.node(dependency).output for dependency in node.depends_on},
        clock=lambda: now,
        uuid_source=next_uuid,
        secrets=plan.secrets,
    )
    return evaluate_input(node, context)


def execution_context(plan: Plan, state: ExecutionState, node_id: str) -> ExecutionContext:
    """Say where a node runs, for its operator."""
    name = plan.graph.spec.name
    return ExecutionContext(
        graph_name=name,
        execution_id=state.execution_id,
        node_id=node_id,
        definition_key=name,
        version_id=plan.graph.content_hash,
        namespace=state.namespace,
        business_key=state.business_key,
    )


def instant(ms: int) -> datetime:
    """Give the instant of a time in milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)
