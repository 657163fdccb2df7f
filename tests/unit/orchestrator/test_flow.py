"""Graphs as decorated functions: what they refuse, and what they do outside of a graph."""

from collections.abc import Callable
from typing import Any

import pytest

from bloge_orchestrator import GraphInvalid, OperatorRegistry, flow
from bloge_orchestrator.expressions.formatter import format_expression
from bloge_orchestrator.flow.values import expression_of

CTX: Any = flow.name("ctx")
OPERATIONS: list[tuple[Callable[[], Any], str]] = [
    (lambda: CTX.a + 1, "ctx.a + 1"),
    (lambda: 1 + CTX.a, "1 + ctx.a"),
    (lambda: CTX.a - CTX.b, "ctx.a - ctx.b"),
    (lambda: 1 - CTX.a, "1 - ctx.a"),
    (lambda: (CTX.a - 1) * 2, "(ctx.a - 1) * 2"),
    (lambda: 2 * CTX.a, "2 * ctx.a"),
    (lambda: CTX.a / 2, "ctx.a / 2"),
    (lambda: 2 / CTX.a, "2 / ctx.a"),
    (lambda: CTX.a % 2, "ctx.a % 2"),
    (lambda: 2 % CTX.a, "2 % ctx.a"),
    (lambda: -CTX.a, "-ctx.a"),
    (lambda: ~CTX.a, "!ctx.a"),
    (lambda: (CTX.a > 1) & (CTX.a >= 2) | (CTX.a < 3), "ctx.a > 1 && ctx.a >= 2 || ctx.a < 3"),
    (lambda: CTX.a <= 1, "ctx.a <= 1"),
    (lambda: CTX.a == "x", 'ctx.a == "x"'),
    (lambda: CTX.a != "x", 'ctx.a != "x"'),
    (lambda: CTX["a b"][CTX.i][-1], 'ctx["a b"][ctx.i][-1]'),
    (lambda: flow.maybe(CTX.a).b[0], "ctx.a?.b[0]"),
    (lambda: flow.maybe(CTX.a)[0], "ctx.a?[0]"),
    (lambda: flow.default(CTX.a, [CTX.b, {"k": CTX.c}]), "ctx.a ?? [ctx.b, {k: ctx.c}]"),
    (lambda: flow.conditional(CTX.a, 1, None), "ctx.a ? 1 : null"),
    (lambda: flow.when(CTX.a, arms=[(1, "x")], otherwise=None), 'when ctx.a { 1 -> "x", otherwise -> null }'),
    (lambda: flow.when(arms=[(CTX.a > 1, "x")]), 'when { ctx.a > 1 -> "x" }'),
    (lambda: flow.text("a", "b", CTX.c, "", "$"), '"ab${ctx.c}\\$"'),
    (lambda: flow.text("a", "b"), '"ab"'),
    (lambda: flow.fn.map(CTX.a, lambda item, at: item.x * at), "map(ctx.a, (item, at) -> item.x * at)"),
    (lambda: flow.fn.size(flow.expr("ctx?.a")), "size(ctx?.a)"),
]


@pytest.mark.parametrize(("make", "expression"), OPERATIONS, ids=[text for _, text in OPERATIONS])
def test_python_makes_expressions(make: Callable[[], Any], expression: str) -> None:
    """Operators, paths and functions, as the language writes them."""
    assert format_expression(expression_of(make())) == expression


@pytest.mark.parametrize(
    ("ask", "instead"),
    [
        (bool, "flow.conditional or flow.branch"),
        (lambda value: 1 if value > 2 else 0, "flow.conditional"),
        (list, "flow.foreach"),
        (len, "flow.fn.size"),
        (lambda value: 1 in value, "flow.fn.contains"),
        (str, "flow.text"),
        (lambda value: f"{value}", "flow.text"),
    ],
)
def test_what_is_not_known_yet_cannot_be_asked_for(ask: Callable[[Any], Any], instead: str) -> None:
    """The message says what to write instead."""
    with pytest.raises(TypeError, match=f"known only when the graph runs; use .*{instead}"):
        ask(CTX.a)


def test_an_unknown_function_is_told_at_once() -> None:
    """With the name that was meant."""
    with pytest.raises(AttributeError, match=r"no function sise; did you mean `size`\?"):
        flow.fn.sise(CTX.a)


def test_a_private_field_is_read_by_key() -> None:
    """An attribute that starts with `_` is Python's own business."""
    with pytest.raises(AttributeError, match=r"write value\['_id'\]"):
        CTX._id  # noqa: B018 - it is the reading that fails


def test_a_local_node_outside_of_a_graph_is_its_function() -> None:
    """So that it can be tested, and used, as one."""

    @flow.node(timeout="1s")
    def double(node_input: dict[str, Any]) -> Any:
        """Double it."""
        return node_input["x"] * 2

    assert double({"x": 2}) == 4
    assert double.__doc__ == "Double it."


def test_a_remote_node_cannot_be_called_outside_of_a_graph() -> None:
    """Only workers have its operator."""

    @flow.remote("Far", "t", timeout="1s")
    def far(x: int) -> None: ...

    with pytest.raises(RuntimeError, match=r"decorated with flow\.graph"):
        far(x=1)


@pytest.mark.parametrize("inputs", [{}, {"x": 1, "y": 2}, {"z": 1}])
def test_a_remote_node_is_given_what_its_function_takes(inputs: dict[str, int]) -> None:
    """A misspelt field is found when the graph is described."""

    @flow.remote("Far", "t", timeout="1s")
    def far(x: int) -> None: ...

    @flow.graph()
    def g() -> None:
        far(**inputs)

    with pytest.raises(TypeError, match="argument"):
        g.build()


def test_a_description_obeys_the_rules_of_the_language() -> None:
    """The findings are the same as for a text."""

    @flow.node("Op")
    def a(node_input: Any) -> None: ...

    @flow.graph()
    def g(ctx: Any) -> None:
        a.options(retry={"attempts": -1})(x=flow.name("nope"))
        flow.branch(ctx.x, {1: "other"})

    with pytest.raises(GraphInvalid) as caught:
        g.build()
    assert sorted(each.code for each in caught.value.diagnostics) == [
        "missing-timeout",
        "out-of-range",
        "unknown-dependency",
        "unknown-target",
    ]


def test_a_graph_brings_its_own_operators() -> None:
    """Those of sub-graphs too, and takes others from a registry; one name is one function."""

    @flow.node(timeout="1s")
    def inner(node_input: Any) -> None: ...

    @flow.graph()
    def sub() -> None:
        inner()

    @flow.graph()
    def g() -> None:
        sub()
        flow.operator("Elsewhere", id="elsewhere", timeout="1s")()

    registry = OperatorRegistry()
    registry.register("Elsewhere", lambda node_input: node_input)
    compiled = g.compile(registry)
    inside = compiled.nodes["sub"].inside
    assert inside is not None
    assert inside.nodes["inner"].operator is not None
    assert registry.names() == ("Elsewhere",)

    @flow.node("inner", timeout="1s")
    def another(node_input: Any) -> None: ...

    @flow.graph()
    def twice() -> None:
        sub()
        another()

    with pytest.raises(TypeError, match="operator inner is two functions"):
        twice.build()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda: flow.foreach([1])(lambda: None), "must take the item"),
        (lambda: flow.foreach([1])(lambda a, b, c: None), "must take the item"),
        (lambda: flow.transform(let={"a": 1})(lambda b: {"x": b}), "parameter b of a transform must be a name"),
        (lambda: flow.branch(1, {1: CTX.a}), "a part of an output; name the node itself"),
        (lambda: flow.when(1, 2, arms=[]), "one subject"),
        (lambda: flow.operator("Op", id="a", timeout="1s")(CTX.a), "takes its input by field"),
    ],
)
def test_what_cannot_be_described_is_refused_where_it_stands(step: Callable[[], Any], message: str) -> None:
    """Before there is a graph that could be checked."""

    @flow.graph()
    def g() -> None:
        step()

    with pytest.raises(TypeError, match=message):
        g.build()


@pytest.mark.parametrize("step", [lambda: flow.foreach([1]), flow.transform, lambda: flow.branch(1, {})])
def test_steps_belong_into_a_graph(step: Callable[[], Any]) -> None:
    """There is nothing to add them to otherwise."""
    with pytest.raises(RuntimeError, match=r"decorated with flow\.graph"):
        step()
