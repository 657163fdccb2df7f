"""Evaluates what a node is given: its input, which for a transform is its output too."""

from dataclasses import replace

from bloge_orchestrator.expressions import Expression
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError, evaluate
from bloge_orchestrator.graph import NodeSpec
from bloge_orchestrator.operators import Json


def evaluate_input(node: NodeSpec, context: EvaluationContext) -> dict[str, Json]:
    """Evaluate a node's locals in their order, then its fields.

    Args:
        node: The node.
        context: The execution's input and the outputs of finished nodes; nothing in it is changed.

    Raises:
        ExpressionError: If a field has no value; the message names the node and the field.

    """
    for name, expression in node.locals.items():
        value = evaluate_field(node, name, expression, context)
        context = replace(context, locals={**context.locals, name: value})
    return {name: evaluate_field(node, name, expression, context) for name, expression in node.input.items()}


def evaluate_field(node: NodeSpec, field: str, expression: Expression, context: EvaluationContext) -> Json:
    """Evaluate one expression of a node.

    Raises:
        ExpressionError: If it has no value; the message names the node and the field.

    """
    try:
        return evaluate(expression, context)
    except ExpressionError as error:
        raise ExpressionError(f"{node.id}.{field}: {error.message}", error.line, error.column) from error
