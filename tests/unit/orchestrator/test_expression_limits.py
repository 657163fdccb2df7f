"""No expression runs away."""

from typing import Any

import pytest

from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError, evaluate

CONTEXT = EvaluationContext()


@pytest.mark.parametrize(
    "text",
    [
        "map(range(100000), x -> map(range(100000), y -> y))",
        "reduce(range(60), [], (all, x) -> [all, all])",
        "reduce(range(60), {}, (all, x) -> {a: all, b: all})",
        "reduce(range(60), [1], (all, x) -> concat(all, all))",
        'reduce(range(99), "a", (all, x) -> all + all)',
        'reduce(range(99), "a", (all, x) -> "${all}${all}")',
        'reduce(range(99), "aa", (all, x) -> replace(all, "a", all))',
        "reduce(range(100000), 3, (all, x) -> all * all)",
        "reduce(range(1000), [], (all, x) -> [all])",
        'repeat("x", 999999999999)',
        'padStart("x", 999999999999)',
        'join(range(100000), repeat("x", 1000))',
        "range(999999999999)",
        'parseJson(repeat("[", 100000))',
        "filter(range(100000), x -> contains(range(100000), x))",
        "pow(9, 9999999999)",
    ],
)
def test_no_expression_runs_away(text: str) -> None:
    """Time, depth, length and range are bounded; the error comes before the memory is gone."""
    with pytest.raises(ExpressionError):
        evaluate(parse_expression(text), CONTEXT, steps_max=200_000)


def test_the_step_limit_is_the_callers() -> None:
    """Small enough, and it refuses what is fine otherwise."""
    expression = parse_expression("map(range(100), x -> x)")
    assert evaluate(expression, CONTEXT) == list(range(100))
    with pytest.raises(ExpressionError, match="takes more than 50 steps"):
        evaluate(expression, CONTEXT, steps_max=50)


def test_an_input_nested_too_deep_is_an_error() -> None:
    """What no expression could have made is not let through either."""
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    for text in ("ctx", "ctx == ctx", "toJson(ctx)", '"${ctx}"', "[ctx]"):
        with pytest.raises(ExpressionError):
            evaluate(parse_expression(text), EvaluationContext(input=deep))
