"""Compiles a graph: its text, its Python twin, or its recorded form, against the operators of this process."""

from dataclasses import replace

from bloge_orchestrator.compiled import CompiledGraph, link
from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid, Stage
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import GraphDeclaration, NodeDeclaration
from bloge_orchestrator.graph import GraphSpec, NodeKind, NodeSpec
from bloge_orchestrator.lowering import Problems, TooManyProblemsError, lower_graph
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.suggestions import did_you_mean


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
    return link(spec, registry, problems.in_order())


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
    return link(spec, registry)


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
