"""From the declaration of a graph to its specification, with the rules that hold between its members."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import (
    GraphDeclaration,
    NodeDeclaration,
    PortsDeclaration,
    SchemaDeclaration,
    Setting,
    TransformDeclaration,
)
from bloge_orchestrator.expressions import Array, Reference
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.graph import GraphSpec, NodeSpec, TypeSpec
from bloge_orchestrator.lowering.fields import NAME_PATTERN, place_of
from bloge_orchestrator.lowering.nodes import lower_node
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.lowering.scope import Scope
from bloge_orchestrator.lowering.transforms import lower_transform
from bloge_orchestrator.lowering.types import lower_type

_NodeMember = NodeDeclaration | TransformDeclaration


def lower_graph(declaration: GraphDeclaration, problems: Problems) -> GraphSpec:
    """Check a graph and give its specification, which is sound if no error was found."""
    _check_name(declaration.name, "graph", declaration.place, problems)
    schemas = [member for member in declaration.members if isinstance(member, SchemaDeclaration)]
    names = _first_by_name(((schema.name, schema.place, schema) for schema in schemas), "schema", problems)
    members = [member for member in declaration.members if isinstance(member, NodeDeclaration | TransformDeclaration)]
    nodes = _nodes(declaration, members, names, problems)
    if declaration.complete:
        _check_cycles(nodes, {member.id: member.place for member in reversed(members)}, problems)
    return GraphSpec(
        name=declaration.name,
        nodes=tuple(nodes),
        schemas={name: lower_type(schema.type, names, problems) for name, schema in names.items()},
        input=_ports("input", declaration, names, problems),
        output=_ports("output", declaration, names, problems),
    )


def _nodes(
    declaration: GraphDeclaration, members: list[_NodeMember], schemas: Mapping[str, object], problems: Problems
) -> list[NodeSpec]:
    if not members and declaration.complete:
        message = f"graph {declaration.name} has no node"
        problems.error(Stage.LINT, "empty-graph", message, declaration.place)
    by_id = _first_by_name(((member.id, member.place, member) for member in members), "node", problems)
    scope = Scope(by_id.keys(), problems, declaration.complete)
    nodes = [(member, _node(member, scope, schemas, problems)) for member in members]
    return [node for member, node in nodes if by_id[member.id] is member]


def _node(member: _NodeMember, scope: Scope, schemas: Mapping[str, object], problems: Problems) -> NodeSpec:
    if member.id == CONTEXT_NAME:
        message = f"`{CONTEXT_NAME}` names the input of the execution; give the node another id"
        problems.error(Stage.COMPILE, "reserved-id", message, member.place, member.id)
    _check_name(member.id, "node", member.place, problems)
    if isinstance(member, TransformDeclaration):
        return scope.resolve(lower_transform(member, schemas.keys(), problems))
    node = lower_node(member, schemas.keys(), problems)
    scope.check_explicit(node, _places_of_dependencies(member))
    return scope.resolve(node)


def _places_of_dependencies(member: NodeDeclaration) -> dict[str, Place | None]:
    settings = [entry for entry in member.entries if isinstance(entry, Setting) and entry.name == "depends_on"]
    items = [item for setting in settings if isinstance(setting.value, Array) for item in setting.value.items]
    return {item.name: place_of(item) for item in reversed(items) if isinstance(item, Reference)}


def _check_cycles(nodes: list[NodeSpec], places: Mapping[str, Place | None], problems: Problems) -> None:
    """Report one circle after the other; each time without the nodes of those already reported."""
    known = {node.id for node in nodes}
    predecessors = {node.id: [name for name in node.depends_on if name in known] for node in nodes}
    order = list(predecessors)
    while circle := _circle(predecessors):
        start = min(circle, key=order.index)
        turned = circle[circle.index(start) :] + circle[: circle.index(start)]
        message = f"nodes wait for each other in a circle: {' -> '.join([*turned, start])}"
        problems.error(Stage.LINT, "cycle", message, places[start], start)
        for name in circle:
            del predecessors[name]


def _circle(predecessors: Mapping[str, list[str]]) -> list[str]:
    """Find the ids of a circle in the order in which their nodes would run, or nothing."""
    sorter = TopologicalSorter(
        {name: [other for other in others if other in predecessors] for name, others in predecessors.items()}
    )
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[:-1]
    return []


def _ports(
    name: str, declaration: GraphDeclaration, schemas: Mapping[str, object], problems: Problems
) -> TypeSpec | None:
    members = [member for member in declaration.members if isinstance(member, PortsDeclaration) and member.name == name]
    for member in members[1:]:
        message = f"`{name}` is declared twice; keep one"
        problems.error(Stage.LINT, "duplicate-field", message, member.place, field=name)
    return lower_type(members[0].type, schemas.keys(), problems) if members else None


_Member = TypeVar("_Member")


def _first_by_name(
    members: Iterable[tuple[str, Place | None, _Member]], kind: str, problems: Problems
) -> dict[str, _Member]:
    """Give the members by name; of two with the same name the first, with an error about the second."""
    first: dict[str, _Member] = {}
    places: dict[str, Place | None] = {}
    for name, place, member in members:
        if name in first:
            earlier = places[name]
            where = f" in line {earlier.line}" if earlier else ""
            message = f"{kind} id `{name}` is taken: it is declared{where} too"
            problems.error(Stage.LINT, "duplicate-id", message, place, name if kind == "node" else None)
        else:
            first[name], places[name] = member, place
    return first


def _check_name(name: str, kind: str, place: Place | None, problems: Problems) -> None:
    if not NAME_PATTERN.fullmatch(name):
        message = f"{kind} id `{name[:40]}` must have 1 to 128 letters, digits and `_`"
        problems.error(Stage.COMPILE, "invalid-id", message, place)
