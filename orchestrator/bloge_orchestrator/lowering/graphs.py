"""From the declaration of a graph to its specification."""

from collections.abc import Mapping

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.tree import GraphDeclaration, PortsDeclaration, SchemaDeclaration
from bloge_orchestrator.graph import GraphSpec, TypeSpec
from bloge_orchestrator.graph_files import GraphFiles
from bloge_orchestrator.lowering.context import FileContext
from bloge_orchestrator.lowering.names import check_name, first_by_name
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.lowering.scope import Scope
from bloge_orchestrator.lowering.shape import check_shape
from bloge_orchestrator.lowering.steps import lower_steps
from bloge_orchestrator.lowering.subgraphs import Library, Subgraphs
from bloge_orchestrator.lowering.types import lower_type
from bloge_orchestrator.operators import OperatorRegistry


def lower_graph(
    declaration: GraphDeclaration,
    problems: Problems,
    *,
    files: GraphFiles,
    filename: str,
    registry: OperatorRegistry | None,
) -> GraphSpec:
    """Check a graph and give its specification, which is sound if no error was found.

    Args:
        declaration: The graph.
        problems: Takes what is found.
        files: Where imported graphs come from.
        filename: What imports are looked up beside.
        registry: What local operators are looked up in; None if they are not.

    Raises:
        PassOverError: If there are too many problems, or far too many nodes.

    """
    library = Library(files, registry, _lower)
    subgraphs = Subgraphs(library, problems, (filename,), declaration.imports)
    graph = _lower(declaration, problems, subgraphs, None)
    check_shape(graph, declaration.place, problems)
    return graph


def _lower(declaration: GraphDeclaration, problems: Problems, subgraphs: Subgraphs, outer: Scope | None) -> GraphSpec:
    check_name(declaration.name, "graph", declaration.place, problems)
    members = declaration.members
    schemas = [member for member in members if isinstance(member, SchemaDeclaration)]
    names = first_by_name(((schema.name, schema.place, schema) for schema in schemas), "schema", problems)
    ports = [member for member in members if isinstance(member, PortsDeclaration)]
    steps = [member for member in members if not isinstance(member, SchemaDeclaration | PortsDeclaration)]
    if not steps and declaration.complete:
        message = f"graph {declaration.name} has no node"
        problems.error(Stage.LINT, "empty-graph", message, declaration.place)
    file = FileContext(problems, names.keys(), subgraphs, subgraphs.library.registry, declaration.complete)
    nodes, scope = lower_steps(steps, file, outer)
    if outer is not None:
        outer.taken.update(scope.taken)
    if declaration.complete:
        subgraphs.warn_of_unused()
    return GraphSpec(
        name=declaration.name,
        nodes=nodes,
        schemas={name: lower_type(schema.type, names, problems) for name, schema in names.items()},
        input=_ports("input", ports, names, problems),
        output=_ports("output", ports, names, problems),
    )


def _ports(
    name: str, ports: list[PortsDeclaration], schemas: Mapping[str, object], problems: Problems
) -> TypeSpec | None:
    members = [member for member in ports if member.name == name]
    for member in members[1:]:
        message = f"`{name}` is declared twice; keep one"
        problems.error(Stage.LINT, "duplicate-field", message, member.place, field=name)
    return lower_type(members[0].type, schemas.keys(), problems) if members else None
