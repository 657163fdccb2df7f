"""The expressions of a node, and the names they take from outside."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bloge_orchestrator.expressions import Expression, Reference
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.expressions.references import free_references
from bloge_orchestrator.graph import BranchSpec, ForeachSpec, NodeKind, NodeSpec


@dataclass(frozen=True, slots=True)
class NodeExpression:
    """One expression of a node, and the field of the node it stands in. `local_names` are the node's own names."""

    field: str
    expression: Expression
    local_names: Collection[str] = ()

    @property
    def outer_references(self) -> Iterator[Reference]:
        """What it refers to besides the node's own names and `ctx`, in the order of the source."""
        for reference in free_references(self.expression):
            if reference.name != CONTEXT_NAME and reference.name not in self.local_names:
                yield reference


def expressions_of(node: NodeSpec) -> Iterator[NodeExpression]:
    """Give the expressions that are evaluated for the node itself, not those of the nodes inside it."""
    match node.construct:
        case BranchSpec() as branch:
            yield NodeExpression("on", branch.subject)
            yield from (NodeExpression("arm", arm.value) for arm in branch.arms)
        case ForeachSpec() as foreach:
            yield NodeExpression("in", foreach.items)
        case _:
            yield from _fields_of(node)


def _fields_of(node: NodeSpec) -> Iterator[NodeExpression]:
    """Give locals and fields: a local sees those before it, a field sees them all."""
    before: list[str] = []
    for name, expression in node.locals.items():
        yield NodeExpression(name, expression, tuple(before))
        before.append(name)
    prefix = "" if node.kind is NodeKind.TRANSFORM else "input."
    for name, expression in node.input.items():
        yield NodeExpression(prefix + name, expression, before)


def outer_names(node: NodeSpec) -> tuple[str, ...]:
    """Give each name that the node's own expressions take from outside, once."""
    return tuple(dict.fromkeys(reference.name for each in expressions_of(node) for reference in each.outer_references))
