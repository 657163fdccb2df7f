"""A compiled graph as one execution needs it: what stands where, and what each node is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from bloge_orchestrator.compiled import CompiledGraph, CompiledNode, CompiledScope
from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.graph import NodeKind, NodeSpec
from bloge_orchestrator.operators import ExecutionContext

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """What decisions are made on, besides the state. `secrets` serve secret() in expressions."""

    graph: CompiledGraph
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> Mapping[str, NodeSpec]:
        """The graph's own nodes by id, in the order of declaration; not those inside them."""
        return self.graph.spec.by_id

    def node(self, path: str) -> CompiledNode:
        """Give the node at a path; in every item and attempt it is the same.

        Raises:
            KeyError: If the graph has none there.

        """
        *outer, name = paths.names_in(path)
        scope = self.graph.scope
        for each in outer:
            scope = _inside(scope.nodes[each])
        return scope.nodes[name]

    def scope(self, scope: str) -> CompiledScope:
        """Give the nodes of a scope.

        Raises:
            KeyError: If the graph has no such scope.

        """
        return _inside(self.node(paths.around(scope).node_id)) if scope else self.graph.scope

    @cached_property
    def worker_topics(self) -> tuple[str, ...]:
        """The topics that the graph's remote nodes are enqueued to."""
        topics = (node.spec.worker_topic for node in self.graph.scope.every_node())
        return tuple(dict.fromkeys(topic for topic in topics if topic))

    @cached_property
    def result_nodes(self) -> tuple[str, ...]:
        """The nodes whose outputs are the graph's: those that nothing waits for, and the transforms."""
        terminals = self.graph.scope.terminals
        return tuple(
            name for name, node in self.graph.nodes.items() if node.spec.kind is NodeKind.TRANSFORM or name in terminals
        )


def _inside(node: CompiledNode) -> CompiledScope:
    if node.inside is None:
        raise KeyError(f"{node.spec.id} has no nodes inside")
    return node.inside


def execution_context(plan: Plan, state: ExecutionState, path: str) -> ExecutionContext:
    """Say where a node runs, for its operator."""
    name = plan.graph.spec.name
    return ExecutionContext(
        graph_name=name,
        execution_id=state.execution_id,
        node_id=path,
        definition_key=name,
        version_id=plan.graph.content_hash,
        namespace=state.namespace,
        business_key=state.business_key,
    )


def instant(ms: int) -> datetime:
    """Give the instant of a time in milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)
