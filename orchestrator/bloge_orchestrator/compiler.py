"""Compiles a graph: its text, its Python twin, or its recorded form, against the operators of this process."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bloge_orchestrator.compiled import CompiledGraph, link
from bloge_orchestrator.diagnostics import Diagnostic, GraphInvalid
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.tree import GraphDeclaration
from bloge_orchestrator.graph import GraphSpec, NodeSpec
from bloge_orchestrator.graph_files import FilesOnDisk, GraphFiles, NoFiles
from bloge_orchestrator.lowering import PassOverError, Problems, check_operator, lower_graph
from bloge_orchestrator.operators import OperatorRegistry


def compile_file(path: str | Path, *, registry: OperatorRegistry) -> CompiledGraph:
    """Compile the graph in a file of UTF-8 text; what it imports is looked up beside it.

    Args:
        path: The file.
        registry: The operators of this process. Remote nodes are not looked up in it.

    Raises:
        GraphInvalid: If the graph has errors; carries them all, and the warnings.
        OSError: If the file cannot be read.
        UnicodeDecodeError: If it is not UTF-8.

    """
    text = Path(path).read_bytes().decode("utf-8-sig")
    return compile_source(text, filename=str(path), registry=registry, files=FilesOnDisk())


def compile_source(
    text: str, *, filename: str, registry: OperatorRegistry, files: GraphFiles | None = None
) -> CompiledGraph:
    """Compile the text of a graph.

    Args:
        text: The text; any text at all.
        filename: How to name the text in messages; imports are looked up beside it.
        registry: The operators of this process. Remote nodes are not looked up in it.
        files: Where imported graphs come from; without it, a graph that imports another one has an error.

    Raises:
        GraphInvalid: If the graph has errors; carries them all, and the warnings.

    """
    spec, problems = _check_text(text, filename, registry, files)
    return link(_sound(spec, problems, text, filename), registry, problems.in_order())


def read_source(text: str, *, filename: str, files: GraphFiles | None = None) -> GraphSpec:
    """Give the specification of the graph in a text, without looking its operators up.

    The arguments are those of `compile_source`.

    Raises:
        GraphInvalid: If the graph has errors; carries them all, and the warnings.

    """
    spec, problems = _check_text(text, filename, None, files)
    return _sound(spec, problems, text, filename)


def check_source(
    text: str,
    *,
    filename: str = "<graph>",
    registry: OperatorRegistry | None = None,
    files: GraphFiles | None = None,
) -> tuple[Diagnostic, ...]:
    """Find everything that is wrong with the text of a graph; without a registry, operators are not looked up.

    The other arguments are those of `compile_source`.
    """
    return _check_text(text, filename, registry, files)[1].in_order()


def check_declaration(
    declaration: GraphDeclaration, *, registry: OperatorRegistry | None = None, files: GraphFiles | None = None
) -> tuple[GraphSpec, tuple[Diagnostic, ...]]:
    """Check a graph that was built in Python; gives its specification and its warnings.

    Raises:
        GraphInvalid: If the graph has errors.

    """
    problems = Problems()
    name = f"<graph {declaration.name}>"
    spec = _check(declaration, name, registry, files, problems)
    # The places of its expressions count in their own texts, which nobody could look up.
    found = tuple(each if each.file else replace(each, line=None, column=None) for each in problems.in_order())
    if spec is None or problems.has_errors():
        raise GraphInvalid(found, filename=name)
    return spec, found


def compile_spec(spec: GraphSpec, *, registry: OperatorRegistry) -> CompiledGraph:
    """Compile a graph that has been checked before: a recorded or a built one.

    Raises:
        GraphInvalid: If a local operator is not registered in this process.

    """
    problems = Problems()
    for node in _every_node(spec.nodes):
        check_operator(node, None, registry, problems)
    if problems.has_errors():
        raise GraphInvalid(problems.in_order(), filename=f"<graph {spec.name}>")
    return link(spec, registry)


def _every_node(nodes: tuple[NodeSpec, ...]) -> Iterator[NodeSpec]:
    for node in nodes:
        yield node
        yield from _every_node(node.inside)


def _check_text(
    text: str, filename: str, registry: OperatorRegistry | None, files: GraphFiles | None
) -> tuple[GraphSpec | None, Problems]:
    parsed = parse_graph(text)
    problems = Problems()
    try:
        problems.take(parsed.problems)
    except PassOverError:
        return None, problems
    return (None if parsed.graph is None else _check(parsed.graph, filename, registry, files, problems)), problems


def _sound(spec: GraphSpec | None, problems: Problems, text: str, filename: str) -> GraphSpec:
    if spec is None or problems.has_errors():
        raise GraphInvalid(problems.in_order(), source=text, filename=filename)
    return spec


def _check(
    declaration: GraphDeclaration,
    filename: str,
    registry: OperatorRegistry | None,
    files: GraphFiles | None,
    problems: Problems,
) -> GraphSpec | None:
    try:
        return lower_graph(declaration, problems, files=files or NoFiles(), filename=filename, registry=registry)
    except PassOverError:
        return None
