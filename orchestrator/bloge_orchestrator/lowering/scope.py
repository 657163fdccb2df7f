"""Checks what the expressions of a node refer to and call, and finds the dependencies they imply."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.expressions import Call, Expression, Lambda
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.expressions.functions import FUNCTIONS, IMPURE_FUNCTIONS, Function
from bloge_orchestrator.expressions.references import calls, free_references
from bloge_orchestrator.graph import NodeKind, NodeSpec
from bloge_orchestrator.lowering.fields import place_of
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.suggestions import did_you_mean


@dataclass(frozen=True, slots=True)
class Scope:
    """The ids of a graph, and where findings go. `complete` is False if some members could not be read."""

    ids: Collection[str]
    problems: Problems
    complete: bool = True

    def resolve(self, node: NodeSpec) -> NodeSpec:
        """Check every expression of a node, and add the dependencies that follow from them."""
        for field, expression in _expressions(node):
            self._check_calls(node, field, expression)
        inferred = [
            name for field, names, expression in _scoped(node) for name in self._names(node, field, names, expression)
        ]
        return replace(node, depends_on=tuple(dict.fromkeys([*node.depends_on, *inferred])))

    def check_explicit(self, node: NodeSpec, places: Mapping[str, Place | None]) -> None:
        """Check the ids that `depends_on` lists."""
        for name in node.depends_on:
            if name not in self.ids:
                self._unknown(node, "depends_on", name, places.get(name))

    def _names(self, node: NodeSpec, field: str, local_names: Collection[str], expression: Expression) -> Iterator[str]:
        for reference in free_references(expression):
            if reference.name == CONTEXT_NAME or reference.name in local_names:
                continue
            if reference.name in self.ids:
                yield reference.name
            else:
                self._unknown(node, field, reference.name, place_of(reference), local_names)

    def _unknown(
        self, node: NodeSpec, field: str, name: str, place: Place | None, local_names: Collection[str] = ()
    ) -> None:
        if not self.complete:
            return
        hint = did_you_mean(name, [*local_names, *self.ids, CONTEXT_NAME])
        message = f"node {node.id} depends on `{name}`, which is not in the graph{hint}"
        self.problems.error(Stage.COMPILE, "unknown-dependency", message, place, node.id, field)

    def _check_calls(self, node: NodeSpec, field: str, expression: Expression) -> None:
        for call in calls(expression):
            code, message = _wrong_call(call, in_transform=node.kind is NodeKind.TRANSFORM)
            if message is not None:
                self.problems.error(Stage.COMPILE, code, message, place_of(call), node.id, field)


def _expressions(node: NodeSpec) -> Iterator[tuple[str, Expression]]:
    yield from node.locals.items()
    prefix = "" if node.kind is NodeKind.TRANSFORM else "input."
    yield from ((prefix + name, expression) for name, expression in node.input.items())


def _scoped(node: NodeSpec) -> Iterator[tuple[str, Collection[str], Expression]]:
    """Give each expression with the locals it sees: a local sees those before it, a field sees them all."""
    before: list[str] = []
    for name, expression in node.locals.items():
        yield name, tuple(before), expression
        before.append(name)
    for field, expression in list(_expressions(node))[len(before) :]:
        yield field, before, expression


def _wrong_call(call: Call, *, in_transform: bool) -> tuple[str, str | None]:
    function = FUNCTIONS.get(call.function)
    if function is None:
        return "unknown-function", f"there is no function {call.function}{did_you_mean(call.function, FUNCTIONS)}"
    if in_transform and call.function in IMPURE_FUNCTIONS:
        message = f"{call.function}() is forbidden in a transform, which must give the same answer each time"
        return "forbidden-in-transform", f"{message}; call it in the input of a node"
    return "wrong-argument", function.wrong_count(len(call.arguments)) or _misplaced_lambda(function, call)


def _misplaced_lambda(function: Function, call: Call) -> str | None:
    for position, argument in enumerate(call.arguments):
        parameter = function.parameter(position)
        if isinstance(argument, Lambda) != ("lambda" in parameter.kinds):
            got = "a lambda" if isinstance(argument, Lambda) else "a value"
            return f"{function.name}: argument {position + 1} must be {parameter.described}, got {got}"
    return None
