"""The evaluation of what a node is given."""

import pytest

from bloge_orchestrator import GraphBuilder, expr
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError
from bloge_orchestrator.graph import NodeSpec
from bloge_orchestrator.inputs import evaluate_input

CONTEXT = EvaluationContext(input={"id": 7}, outputs={"load": {"items": [1, 2]}})


def transform(fields: dict[str, object], let: dict[str, object]) -> NodeSpec:
    graph = GraphBuilder("g").node("load", "Load", timeout="1s").transform("t", fields, let=let)
    return graph.build().by_id["t"]


def test_fields_are_evaluated_by_name() -> None:
    """From the execution's input and the outputs of finished nodes; a node without input gets an empty object."""
    builder = GraphBuilder("g").node("load", "Load", timeout="1s")
    graph = builder.node("b", "Op", input={"id": expr("ctx.id"), "n": expr("load.items.size")}, timeout="1s").build()
    assert evaluate_input(graph.by_id["b"], CONTEXT) == {"id": 7, "n": 2}
    assert evaluate_input(graph.by_id["load"], CONTEXT) == {}


def test_locals_are_evaluated_in_order_and_are_no_fields() -> None:
    """Each sees those before it."""
    node = transform({"x": expr("b * 10")}, let={"a": expr("load.items[1]"), "b": expr("a + 1")})
    assert evaluate_input(node, CONTEXT) == {"x": 30}
    assert CONTEXT.locals == {}


def test_an_error_names_node_and_field() -> None:
    """A reader knows where to look without the source."""
    node = transform({"x": expr("load.items[5]")}, let={})
    with pytest.raises(ExpressionError, match=r"t\.x: index 5 is out of range"):
        evaluate_input(node, CONTEXT)
