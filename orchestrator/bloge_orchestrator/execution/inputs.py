"""What the expressions of a node come to in an execution.

now() is when the node started, and uuid() depends on the execution, the node and how many were asked for before: so
every attempt, and every process that takes the execution over, evaluates the same.
"""

from collections.abc import Iterator
from itertools import count
from uuid import NAMESPACE_URL, UUID, uuid5

from bloge_orchestrator.compiled import CompiledNode, OuterName
from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.plan import Plan, instant
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError
from bloge_orchestrator.expressions.values import described, equal
from bloge_orchestrator.graph import BranchSpec, ForeachSpec, SubgraphScope, SubgraphSpec
from bloge_orchestrator.inputs import evaluate_field, evaluate_input
from bloge_orchestrator.operators import Json

ITEMS_MAX = 100_000
"""Most items of a foreach: each leaves several events in the journal, so a larger data set belongs into one node."""

_ITEMS, _CONTEXT = "items", "ctx"
"""What an expansion keeps."""


def node_input(plan: Plan, state: ExecutionState, path: str, at_ms: int) -> dict[str, Json]:
    """Evaluate a node's input, which is a transform's output and the `ctx` inside a sub-graph.

    Args:
        plan: The graph.
        state: Where the execution stands.
        path: The node; what it depends on has ended.
        at_ms: The time, for a node that has not started.

    Raises:
        ExpressionError: If a field has no value.

    """
    node = plan.node(path)
    return evaluate_input(node.spec, _context(plan, state, path, node, at_ms))


def foreach_items(plan: Plan, state: ExecutionState, path: str, at_ms: int) -> list[Json]:
    """Evaluate the list that a foreach goes over. The arguments are those of `node_input`.

    Raises:
        ExpressionError: If it has no value, is no list, or has more than `ITEMS_MAX` items.

    """
    node = plan.node(path)
    assert isinstance(node.spec.construct, ForeachSpec)
    source = node.spec.construct.items
    items = evaluate_field(node.spec, "in", source, _context(plan, state, path, node, at_ms))
    if not isinstance(items, list):
        raise _unfit(node, source, f"a foreach goes over a list, got {described(items)}")
    if len(items) > ITEMS_MAX:
        raise _unfit(node, source, f"a foreach goes over at most {ITEMS_MAX} items, got {len(items)}")
    return items


def branch_choice(plan: Plan, state: ExecutionState, path: str, at_ms: int) -> list[Json]:
    """Evaluate which of its targets a branch chooses, as ids. The arguments are those of `node_input`.

    Raises:
        ExpressionError: If the subject, or an arm that had to be looked at, has no value.

    """
    node = plan.node(path)
    assert isinstance(node.spec.construct, BranchSpec)
    branch = node.spec.construct
    chosen = _fitting(node, branch, _context(plan, state, path, node, at_ms))
    first = next(chosen, branch.otherwise)
    others = chosen if branch.inclusive else ()
    return list(dict.fromkeys([*first, *(target for targets in others for target in targets)]))


def _fitting(node: CompiledNode, branch: BranchSpec, context: EvaluationContext) -> Iterator[tuple[str, ...]]:
    subject = evaluate_field(node.spec, "on", branch.subject, context)
    for arm in branch.arms:
        if equal(subject, evaluate_field(node.spec, "arm", arm.value, context)):
            yield arm.targets


def _unfit(node: CompiledNode, source: Expression, message: str) -> ExpressionError:
    return ExpressionError(f"{node.spec.id}.in: {message}", source.line, source.column)


# ---- what an expression sees ----


def _context(plan: Plan, state: ExecutionState, path: str, node: CompiledNode, at_ms: int) -> EvaluationContext:
    scope, started_ms = paths.scope_of(path), state.node(path).started_ms
    now = instant(at_ms if started_ms is None else started_ms)
    numbers = count()

    def next_uuid() -> UUID:
        return uuid5(NAMESPACE_URL, f"bloge:{state.execution_id}/{path}/{next(numbers)}")

    outputs = {name: state.node(paths.path_of(scope, name)).output for name in node.spec.depends_on}
    variables: dict[str, Json] = {}
    for outer in node.outer:
        found = outputs if outer.variable is None else variables
        found[outer.name] = _outer_value(plan, state, scope, outer)
    return EvaluationContext(
        input=_context_input(plan, state, scope),
        outputs=outputs,
        locals=variables,
        clock=lambda: now,
        uuid_source=next_uuid,
        secrets=plan.secrets,
    )


def _outer_value(plan: Plan, state: ExecutionState, scope: str, outer: OuterName) -> Json:
    for _ in range(outer.levels):
        scope = paths.scope_of(paths.around(scope).node_id)
    if outer.variable is None:
        return state.node(paths.path_of(scope, outer.name)).output
    inside = paths.around(scope)
    assert inside.index is not None, "only a foreach has variables"
    return inside.index if outer.variable else _kept_items(plan, state, inside.node_id)[inside.index]


def _context_input(plan: Plan, state: ExecutionState, scope: str) -> Json:
    """Give what `ctx` names in a scope: the input of the execution, or of the sub-graph around it."""
    while scope:
        path = paths.around(scope).node_id
        construct = plan.node(path).spec.construct
        if isinstance(construct, SubgraphSpec):
            return _kept_context(plan, state, path, construct.scope)
        scope = paths.scope_of(path)
    return state.input


def _kept_items(plan: Plan, state: ExecutionState, path: str) -> list[Json]:
    """Give the items of a foreach that has begun; evaluated once in each process that has the execution."""
    node = state.node(path)
    assert node.expansion is not None, "it has begun"
    kept = node.expansion.kept
    if _ITEMS not in kept:
        items = foreach_items(plan, state, path, node.started_ms or 0)
        if len(items) != node.expansion.count:
            message = f"{path}: the list has {len(items)} items now, and had {node.expansion.count} when it began"
            raise ExpressionError(message, None, None)
        kept[_ITEMS] = items
    items = kept[_ITEMS]
    assert isinstance(items, list)
    return items


def _kept_context(plan: Plan, state: ExecutionState, path: str, scope: SubgraphScope) -> Json:
    """Give the `ctx` inside a sub-graph that has begun; evaluated once in each process that has the execution."""
    node = state.node(path)
    assert node.expansion is not None, "it has begun"
    kept = node.expansion.kept
    if _CONTEXT not in kept:
        own = node_input(plan, state, path, node.started_ms or 0)
        outer = _context_input(plan, state, paths.scope_of(path)) if scope is SubgraphScope.PARENT else {}
        kept[_CONTEXT] = {**outer, **own}
    return kept[_CONTEXT]
