"""From the members of a scope to its nodes: those of a graph, or those inside a foreach."""

from collections.abc import Sequence
from dataclasses import replace

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import (
    BranchDeclaration,
    ForeachDeclaration,
    NodeDeclaration,
    Setting,
    StepDeclaration,
    TransformDeclaration,
)
from bloge_orchestrator.expressions import Array, Reference
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.graph import ForeachSpec, NodeKind, NodeSpec, SubgraphScope, SubgraphSpec
from bloge_orchestrator.lowering.branches import branch_id, lower_branch, places_of_targets
from bloge_orchestrator.lowering.context import FileContext
from bloge_orchestrator.lowering.cycles import check_cycles
from bloge_orchestrator.lowering.fields import place_of
from bloge_orchestrator.lowering.loops import lower_foreach
from bloge_orchestrator.lowering.names import check_name, first_by_name
from bloge_orchestrator.lowering.nodes import lower_node, scope_of
from bloge_orchestrator.lowering.outputs import check_outputs
from bloge_orchestrator.lowering.ports import check_ports
from bloge_orchestrator.lowering.scope import Scope, Window
from bloge_orchestrator.lowering.transforms import lower_transform


def lower_steps(
    members: Sequence[StepDeclaration], file: FileContext, outer: Scope | None, variables: tuple[str, ...] = ()
) -> tuple[tuple[NodeSpec, ...], Scope]:
    """Check the members of a scope; give its nodes in the order of declaration, and the scope.

    Args:
        members: The members.
        file: The file they stand in.
        outer: The scope around, if the nodes see it.
        variables: The variables of the foreach around.

    """
    named = _named(members)
    first = first_by_name(((name, member.place, member) for name, member in named), "node", file.problems)
    hidden = {name: holder for holder, member in named for name in _names_inside(member)}
    scope = Scope(first.keys(), file.problems, variables, outer, file.complete, hidden)
    place = named[0][1].place if named else None
    file.subgraphs.library.charge(len(named), place, file.problems)
    with file.subgraphs.library.deeper(place, file.problems):
        nodes = [(name, member, _step(name, member, scope, file)) for name, member in named]
    kept = tuple(node for name, member, node in nodes if first[name] is member)
    if file.complete:
        check_cycles(kept, {name: member.place for name, member in reversed(named)}, file.problems)
    check_outputs(kept, file.problems)
    return kept, scope


def _named(members: Sequence[StepDeclaration]) -> list[tuple[str, StepDeclaration]]:
    branches = [member for member in members if isinstance(member, BranchDeclaration)]
    numbers = {id(branch): number for number, branch in enumerate(branches, start=1)}
    return [
        (branch_id(numbers[id(member)]) if isinstance(member, BranchDeclaration) else member.id, member)
        for member in members
    ]


def _names_inside(member: StepDeclaration) -> list[str]:
    if not isinstance(member, ForeachDeclaration):
        return []
    return [each.id for each in member.members if not isinstance(each, BranchDeclaration)]


def _step(name: str, member: StepDeclaration, scope: Scope, file: FileContext) -> NodeSpec:
    if name == CONTEXT_NAME:
        message = f"`{CONTEXT_NAME}` names the input of the execution; give the node another id"
        file.problems.error(Stage.COMPILE, "reserved-id", message, member.place, name)
    elif not isinstance(member, BranchDeclaration) and scope.is_shadowing(name):  # nobody can name a branch
        message = f"node id `{name}` is taken: it names something that the nodes here see"
        file.problems.error(Stage.LINT, "duplicate-id", message, member.place, name)
    check_name(name, "node", member.place, file.problems)
    match member:
        case TransformDeclaration():
            return scope.resolve(lower_transform(member, file.schemas, file.problems))
        case BranchDeclaration():
            branch = lower_branch(member, name, file)
            scope.check_targets(branch, places_of_targets(member))
            return scope.resolve(branch)
        case ForeachDeclaration():
            return _foreach(member, scope, file)
        case NodeDeclaration():
            return _node(member, scope, file)


def _foreach(member: ForeachDeclaration, scope: Scope, file: FileContext) -> NodeSpec:
    node = lower_foreach(member, scope, file)
    scope.check_explicit(node, _places_of_dependencies(member.settings))
    variables = tuple(variable.name for variable in member.variables)
    body, inside = lower_steps(member.members, file, scope, variables)
    assert isinstance(node.construct, ForeachSpec)
    return scope.resolve(replace(node, construct=replace(node.construct, body=body)), inside.taken)


def _node(member: NodeDeclaration, scope: Scope, file: FileContext) -> NodeSpec:
    node = lower_node(member, file)
    settings = [entry for entry in member.entries if isinstance(entry, Setting)]
    scope.check_explicit(node, _places_of_dependencies(settings))
    return _subgraph(node, member, scope, file) if node.kind is NodeKind.SUBGRAPH else scope.resolve(node)


def _subgraph(node: NodeSpec, member: NodeDeclaration, scope: Scope, file: FileContext) -> NodeSpec:
    sees = scope_of(member)
    window = Window((), file.problems, outer=scope)
    graph = file.subgraphs.graph_of(member.operator, node.id, window if sees is SubgraphScope.PARENT else None)
    if graph is None:
        return scope.resolve(node)
    check_ports(node, graph, member, file.problems)
    node = replace(node, operator_ref=graph.name, construct=SubgraphSpec(graph, sees))
    return scope.resolve(node, window.taken)


def _places_of_dependencies(settings: Sequence[Setting]) -> dict[str, Place | None]:
    lists = [setting.value for setting in settings if setting.name == "depends_on"]
    items = [item for each in lists if isinstance(each, Array) for item in each.items]
    return {item.name: place_of(item) for item in reversed(items) if isinstance(item, Reference)}
