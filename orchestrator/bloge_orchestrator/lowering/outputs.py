"""Checks what expressions read of sub-graphs and loops, whose outputs have a known form."""

from collections.abc import Iterator, Mapping, Sequence

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.expressions import Expression, Lambda, Member, Reference, children
from bloge_orchestrator.expressions.context import OUTPUT_MEMBER
from bloge_orchestrator.expressions.operators import LENGTH_MEMBERS
from bloge_orchestrator.graph import BranchSpec, GraphSpec, NodeKind, NodeSpec, SubgraphSpec
from bloge_orchestrator.lowering.fields import place_of
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.node_expressions import NodeExpression, expressions_of
from bloge_orchestrator.suggestions import did_you_mean, listed


def check_outputs(nodes: Sequence[NodeSpec], problems: Problems) -> None:
    """Warn of fields that a sub-graph does not give, and of fields of a foreach, which gives a list."""
    by_id = {node.id: node for node in nodes}
    for node in nodes:
        for each in expressions_of(node):
            for read, name in _fields_read(each):
                message = _what_is_wrong(by_id.get(read.name), name.name)
                if message is not None:
                    problems.warning(Stage.LINT, "unknown-output", message, place_of(name), node.id, each.field)


def _fields_read(each: NodeExpression) -> Iterator[tuple[Reference, Member]]:
    """Give each `node.output.field` and `node.field`, as the reference and the member of the field."""
    outer = {id(reference) for reference in each.outer_references}
    for member in _members(each.expression):
        target = member.target
        if isinstance(target, Member) and target.name == OUTPUT_MEMBER:
            target = target.target
        elif member.name == OUTPUT_MEMBER:
            continue
        if isinstance(target, Reference) and id(target) in outer:
            yield target, member


def _members(expression: Expression | Lambda) -> Iterator[Member]:
    if isinstance(expression, Member):
        yield expression
    for part in children(expression):
        yield from _members(part)


def _what_is_wrong(node: NodeSpec | None, field: str) -> str | None:
    if node is None:
        return None
    if node.kind is NodeKind.FOREACH and field not in LENGTH_MEMBERS:
        return f"the output of {node.id} is a list with an item for each of its items; it has no `{field}`"
    if isinstance(node.construct, SubgraphSpec):
        given = [*_terminals(node.construct.graph), *_fields_of_fallback(node)]
        if field not in given:
            known = f"gives {listed(given)}" if given else "gives nothing"
            return f"graph {node.construct.graph.name} {known}, not `{field}`{did_you_mean(field, given)}"
    return None


def _fields_of_fallback(node: NodeSpec) -> list[str]:
    if node.fallback is None or not isinstance(node.fallback.value, Mapping):
        return []
    return list(node.fallback.value)


def _terminals(graph: GraphSpec) -> list[str]:
    """Give the nodes that no other one waits for."""
    waited_for = {name for node in graph.nodes for name in node.depends_on}
    return [node.id for node in graph.nodes if node.id not in waited_for and not isinstance(node.construct, BranchSpec)]
