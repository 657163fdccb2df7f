"""What the expressions of a scope's nodes may name, and the dependencies that follow."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.expressions import Call, Lambda
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.expressions.functions import FUNCTIONS, IMPURE_FUNCTIONS, Function
from bloge_orchestrator.expressions.references import calls
from bloge_orchestrator.graph import NodeKind, NodeSpec
from bloge_orchestrator.lowering.fields import place_of
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.node_expressions import NodeExpression, expressions_of
from bloge_orchestrator.suggestions import did_you_mean


@dataclass
class Scope:
    """The ids of nodes that see each other, and the scope around them that they see too, if there is one.

    `inside` maps the ids of nodes that are hidden in another node to that node. `complete` is False if some members
    could not be read. `taken` collects the names that nodes of this scope, or inside them, take from the one around.
    """

    ids: Collection[str]
    problems: Problems
    variables: tuple[str, ...] = ()
    outer: "Scope | None" = None
    complete: bool = True
    inside: Mapping[str, str] = field(default_factory=dict)
    taken: dict[str, None] = field(default_factory=dict)

    def resolve(self, node: NodeSpec, taken_inside: Collection[str] = ()) -> NodeSpec:
        """Check every expression of a node, and add the dependencies that follow from them.

        Args:
            node: The node.
            taken_inside: The names that the nodes inside it take from this scope.

        """
        inferred: list[str] = []
        for each in expressions_of(node):
            self._check_calls(node, each)
            inferred += self._dependencies(node, each)
        inferred += [name for name in taken_inside if self._is_node_here(name)]
        return replace(node, depends_on=tuple(dict.fromkeys([*node.depends_on, *inferred])))

    def check_explicit(self, node: NodeSpec, places: Mapping[str, Place | None]) -> None:
        """Check the ids that `depends_on` lists."""
        for name in node.depends_on:
            if name not in self.ids:
                self._unknown(node, "depends_on", name, places.get(name), ())

    def check_targets(self, node: NodeSpec, targets: Mapping[str, Place | None]) -> None:
        """Check the ids that a branch may choose."""
        for name, place in targets.items():
            if name not in self.ids and self.complete:
                message = f"{node.id} chooses `{name}`, which is no node beside it{did_you_mean(name, self.ids)}"
                self.problems.error(Stage.COMPILE, "unknown-target", message, place, node.id, "arm")

    def declares(self, name: str) -> bool:
        """Tell whether a name is declared here, or around in the same file."""
        return name in self.ids or name in self.variables or self.is_shadowing(name)

    def is_shadowing(self, name: str) -> bool:
        """Tell whether a node of this scope would hide something that it could see, in the same file, by its id."""
        return name in self.variables or (self.outer is not None and self.outer.declares(name))

    def knows(self, name: str) -> bool:
        """Tell whether a name means something here or in a scope around."""
        if name in self.ids or name in self.variables:
            return True
        return self.outer is not None and self.outer.knows(name)

    def visible_names(self) -> list[str]:
        """Give every name that means something here."""
        return [*self.variables, *self.ids, *(self.outer.visible_names() if self.outer else ())]

    def all_complete(self) -> bool:
        """Tell whether every member of this scope and of those around could be read."""
        return self.complete and (self.outer is None or self.outer.all_complete())

    def _is_node_here(self, name: str) -> bool:
        """Tell whether a name means a node of this scope; one further out is passed on to the scope around."""
        if name in self.ids:
            return True
        if name not in self.variables:
            self.taken[name] = None
        return False

    def _dependencies(self, node: NodeSpec, each: NodeExpression) -> Iterator[str]:
        for reference in each.outer_references:
            if not self.knows(reference.name):
                self._unknown(node, each.field, reference.name, place_of(reference), each.local_names)
            elif self._is_node_here(reference.name):
                yield reference.name

    def _unknown(
        self, node: NodeSpec, field_name: str, name: str, place: Place | None, local_names: Collection[str]
    ) -> None:
        if not self.all_complete():
            return
        message = f"node {node.id} depends on `{name}`, {self._why_unknown(name, local_names)}"
        self.problems.error(Stage.COMPILE, "unknown-dependency", message, place, node.id, field_name)

    def _why_unknown(self, name: str, local_names: Collection[str]) -> str:
        if name in self.inside:
            holder = self.inside[name]
            return f"which is inside `{holder}`; from outside only `{holder}.output` can be read"
        if self.knows(name):
            return "which is outside; let what it stands in depend on it"
        return f"which is not in the graph{did_you_mean(name, [*local_names, *self.visible_names(), CONTEXT_NAME])}"

    def _check_calls(self, node: NodeSpec, each: NodeExpression) -> None:
        for call in calls(each.expression):
            code, message = _wrong_call(call, in_transform=node.kind is NodeKind.TRANSFORM)
            if message is not None:
                self.problems.error(Stage.COMPILE, code, message, place_of(call), node.id, each.field)


class Window(Scope):
    """The edge of a sub-graph that sees what is around it: names go through, but nothing is declared in its file."""

    def declares(self, name: str) -> bool:  # noqa: ARG002 - the same for every name
        """Answer no: a sub-graph may use names that mean something else outside."""
        return False


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
