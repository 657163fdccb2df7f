"""Compiles a graph: its text, its Python twin, or its recorded form, against the operators of this process."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid, Stage
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import GraphDeclaration, NodeDeclaration
from bloge_orchestrator.graph import GraphSpec, NodeKind, NodeSpec
from bloge_orchestrator.graph_json import content_hash
from bloge_orchestrator.lowering import Problems, TooManyProblemsError, lower_graph
from bloge_orchestrator.operators import LocalOperator, OperatorRegistry
from bloge_orchestrator.remote import RemoteWorkerOperator
from bloge_orchestrator.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class CompiledNode:
    """A node and what does its work: an operator of this process, the remote one, or None for a transform."""

    spec: NodeSpec
    operator: LocalOperator | RemoteWorkerOperator | None


@dataclass(frozen=True)
class CompiledGraph:
    """A graph without errors, ready to be executed. `diagnostics` holds its warnings."""

    spec: GraphSpec
    nodes: Mapping[str, CompiledNode]
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @cached_property
    def content_hash(self) -> str:
        """The content hash of the graph, however it was written."""
        return content_hash(self.spec)


def compile_source(text: str, *, filename: str, registry: OperatorRegistry) -> CompiledGraph:
    """Compile the text of a graph.

    Args:
        text: The text; any text at all.
        filename: How to name the text in messages.
        registry: The operators of this process. Remote nodes are not looked up in it.

    Raises:
        GraphInvalid: If the graph has errors; carries them all, and the warnings.

    """
    spec, problems = _check_text(text, registry)
    if spec is None or problems.has_errors():
        raise GraphInvalid(problems.in_order(), source=text, filename=filename)
    return _link(spec, registry, problems.in_order())


def check_source(text: str, *, registry: OperatorRegistry | None = None) -> tuple[Diagnostic, ...]:
    """Find everything that is wrong with the text of a graph; without a registry, operators are not looked up."""
    return _check_text(text, registry)[1].in_order()


def check_declaration(
    declaration: GraphDeclaration, *, registry: OperatorRegistry | None = None
) -> tuple[GraphSpec, tuple[Diagnostic, ...]]:
    """Check a graph that was built in Python; gives its specification and its warnings.

    Raises:
        GraphInvalid: If the graph has errors.

    """
    problems = Problems()
    spec = _check(declaration, registry, problems)
    # The places of its expressions count in their own texts, which nobody could look up.
    found = tuple(replace(diagnostic, line=None, column=None) for diagnostic in problems.in_order())
    if spec is None or problems.has_errors():
        raise GraphInvalid(found, filename=f"<graph {declaration.name}>")
    return spec, found


def compile_spec(spec: GraphSpec, *, registry: OperatorRegistry) -> CompiledGraph:
    """Compile a graph that has been checked before: a recorded or a built one.

    Raises:
        GraphInvalid: If a local operator is not registered in this process.

    """
    problems = Problems()
    for node in spec.nodes:
        _check_operator(node, None, registry, problems)
    if problems.has_errors():
        raise GraphInvalid(problems.in_order(), filename=f"<graph {spec.name}>")
    return _link(spec, registry, ())


def _check_text(text: str, registry: OperatorRegistry | None) -> tuple[GraphSpec | None, Problems]:
    parsed = parse_graph(text)
    problems = Problems(parsed.problems)
    return (None if parsed.graph is None else _check(parsed.graph, registry, problems)), problems


def _check(declaration: GraphDeclaration, registry: OperatorRegistry | None, problems: Problems) -> GraphSpec | None:
    try:
        spec = lower_graph(declaration, problems)
        if registry is not None:
            _check_operators(spec, declaration, registry, problems)
    except TooManyProblemsError:
        return None
    return spec


def _check_operators(
    spec: GraphSpec, declaration: GraphDeclaration, registry: OperatorRegistry, problems: Problems
) -> None:
    places = {
        member.id: member.operator.place
        for member in reversed(declaration.members)
        if isinstance(member, NodeDeclaration) and not member.operator.subgraph
    }
    for node in spec.nodes:
        if node.id in places:
            _check_operator(node, places[node.id], registry, problems)


def _check_operator(node: NodeSpec, place: Place | None, registry: OperatorRegistry, problems: Problems) -> None:
    if node.kind is NodeKind.LOCAL and registry.lookup(node.operator_ref) is None:
        message = f"operator {node.operator_ref} is not registered{did_you_mean(node.operator_ref, registry.names())}"
        problems.error(Stage.COMPILE, "unknown-operator", message, place, node.id)


def _link(spec: GraphSpec, registry: OperatorRegistry, warnings: tuple[Diagnostic, ...]) -> CompiledGraph:
    return CompiledGraph(
        spec, {node.id: CompiledNode(node, _operator(node, registry)) for node in spec.nodes}, warnings
    )


def _operator(node: NodeSpec, registry: OperatorRegistry) -> LocalOperator | RemoteWorkerOperator | None:
    match node.kind:
        case NodeKind.LOCAL:
            return registry.lookup(node.operator_ref)
        case NodeKind.REMOTE:
            return RemoteWorkerOperator.of(node)
        case NodeKind.TRANSFORM:
            return None
