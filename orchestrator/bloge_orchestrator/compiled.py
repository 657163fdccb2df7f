"""A graph that is ready to be executed: its nodes with what does their work, scope by scope."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.graph import (
    BranchSpec,
    ForeachSpec,
    GraphSpec,
    NodeKind,
    NodeSpec,
    SubgraphScope,
    SubgraphSpec,
)
from bloge_orchestrator.graph_json import content_hash
from bloge_orchestrator.node_expressions import outer_names
from bloge_orchestrator.operators import LocalOperator, OperatorRegistry
from bloge_orchestrator.remote import RemoteWorkerOperator


@dataclass(frozen=True, slots=True)
class OuterName:
    """A name in a node's expressions that is no node of its own scope, and what it stands for.

    `levels` counts the scopes outwards, 0 for the node's own. There it is a node, or `variable` says which variable of
    the foreach around the scope it is: 0 for the item, 1 for its index.
    """

    name: str
    levels: int
    variable: int | None


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """A node and what does its work: an operator of this process, the remote one, or the nodes inside it."""

    spec: NodeSpec
    operator: LocalOperator | RemoteWorkerOperator | None = None
    """None for a node that has neither: a transform, a branch, a foreach and a sub-graph."""
    inside: "CompiledScope | None" = None
    """The body of a foreach, the graph of a sub-graph."""
    outer: tuple[OuterName, ...] = ()


@dataclass(frozen=True)
class CompiledScope:
    """Nodes that see each other, in the order of declaration. Each stands at most once for each item and attempt."""

    nodes: Mapping[str, CompiledNode]

    @cached_property
    def chosen_by(self) -> Mapping[str, tuple[str, ...]]:
        """The branches that each node is a target of."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, node in self.nodes.items():
            for target in _targets(node.spec):
                found[target].append(name)
        return _frozen(found)

    @cached_property
    def followers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes to look at when a node has ended: those that depend on it, and a branch's targets."""
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for name, node in self.nodes.items():
            for predecessor in dict.fromkeys([*node.spec.depends_on, *self.chosen_by[name]]):
                found[predecessor].append(name)
        return _frozen(found)

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """The nodes that wait for no other node of the scope."""
        return tuple(name for name, node in self.nodes.items() if not node.spec.depends_on and not self.chosen_by[name])

    @cached_property
    def terminals(self) -> tuple[str, ...]:
        """The nodes whose outputs can be seen from outside: those that no other node waits for. A branch has none."""
        return tuple(
            name
            for name, node in self.nodes.items()
            if not self.followers[name] and node.spec.kind is not NodeKind.BRANCH
        )

    def every_node(self) -> Iterable[CompiledNode]:
        """Give the nodes, each followed by those inside it."""
        for node in self.nodes.values():
            yield node
            if node.inside is not None:
                yield from node.inside.every_node()


@dataclass(frozen=True)
class CompiledGraph:
    """A graph without errors, ready to be executed. `diagnostics` holds its warnings."""

    spec: GraphSpec
    scope: CompiledScope
    """The graph's own nodes."""
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def nodes(self) -> Mapping[str, CompiledNode]:
        """The graph's own nodes by id, in the order of declaration."""
        return self.scope.nodes

    @cached_property
    def content_hash(self) -> str:
        """The content hash of the graph, however it was written."""
        return content_hash(self.spec)


def link(spec: GraphSpec, registry: OperatorRegistry, warnings: tuple[Diagnostic, ...] = ()) -> CompiledGraph:
    """Give each node of a graph that has been checked what does its work."""
    return CompiledGraph(spec, _scope(spec.nodes, registry, ()), warnings)


@dataclass(frozen=True, slots=True)
class _Around:
    """One scope around a node, as far as its names matter."""

    names: frozenset[str]
    variables: tuple[str, ...] = ()


def _scope(
    nodes: tuple[NodeSpec, ...],
    registry: OperatorRegistry,
    around: tuple[_Around, ...],
    variables: tuple[str, ...] = (),
) -> CompiledScope:
    """Link the nodes of a scope; `around` are the scopes its nodes see, the innermost first."""
    visible = (_Around(frozenset(node.id for node in nodes), variables), *around)
    return CompiledScope({node.id: _node(node, registry, visible) for node in nodes})


def _node(spec: NodeSpec, registry: OperatorRegistry, visible: tuple[_Around, ...]) -> CompiledNode:
    return CompiledNode(spec, _operator(spec, registry), _inside(spec, registry, visible), _outer(spec, visible))


def _operator(spec: NodeSpec, registry: OperatorRegistry) -> LocalOperator | RemoteWorkerOperator | None:
    match spec.kind:
        case NodeKind.LOCAL:
            return registry.lookup(spec.operator_ref)
        case NodeKind.REMOTE:
            return RemoteWorkerOperator.of(spec)
        case NodeKind.TRANSFORM | NodeKind.BRANCH | NodeKind.FOREACH | NodeKind.SUBGRAPH:
            return None


def _inside(spec: NodeSpec, registry: OperatorRegistry, visible: tuple[_Around, ...]) -> CompiledScope | None:
    match spec.construct:
        case ForeachSpec(item_name=item, index_name=index, body=body):
            return _scope(body, registry, visible, (item,) if index is None else (item, index))
        case SubgraphSpec(graph=graph, scope=scope):
            return _scope(graph.nodes, registry, visible if scope is SubgraphScope.PARENT else ())
        case _:
            return None


def _outer(spec: NodeSpec, visible: tuple[_Around, ...]) -> tuple[OuterName, ...]:
    own = visible[0].names
    return tuple(_resolved(name, visible) for name in outer_names(spec) if name not in own)


def _resolved(name: str, visible: tuple[_Around, ...]) -> OuterName:
    """Find the innermost scope that has a name."""
    for levels, scope in enumerate(visible):
        if name in scope.names:
            return OuterName(name, levels, None)
        if name in scope.variables:
            return OuterName(name, levels, scope.variables.index(name))
    raise AssertionError(f"{name} is not in the graph, which has been checked")


def _targets(spec: NodeSpec) -> tuple[str, ...]:
    return spec.construct.targets if isinstance(spec.construct, BranchSpec) else ()


def _frozen(found: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(names) for name, names in found.items()}
