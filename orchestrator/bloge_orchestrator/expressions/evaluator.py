"""Evaluation of expressions: pure, bounded, from plain JSON to plain JSON."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from bloge_orchestrator.durations import to_milliseconds
from bloge_orchestrator.expressions import operators
from bloge_orchestrator.expressions.context import CONTEXT_NAME, OUTPUT_MEMBER, EvaluationContext
from bloge_orchestrator.expressions.functions import FUNCTIONS, Function, LambdaValue
from bloge_orchestrator.expressions.functions.signature import Cost
from bloge_orchestrator.expressions.tree import (
    Array,
    Binary,
    Call,
    Conditional,
    Duration,
    Expression,
    Index,
    Lambda,
    Literal,
    Member,
    Object,
    Reference,
    Template,
    Unary,
    When,
)
from bloge_orchestrator.expressions.values import (
    STEPS_MAX,
    VALUES_PER_STEP,
    Budget,
    Json,
    OperationError,
    equal,
    shown,
    text,
)


class ExpressionError(Exception):
    """An expression has no value. `line` and `column` say where, from 1; None for one that was built in Python."""

    def __init__(self, message: str, line: int | None, column: int | None) -> None:
        super().__init__(message if line is None else f"{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column


def evaluate(expression: Expression, context: EvaluationContext, *, steps_max: int = STEPS_MAX) -> Json:
    """Evaluate an expression.

    Args:
        expression: What to evaluate.
        context: What it sees; nothing in it is changed.
        steps_max: How many steps the evaluation may take.

    Raises:
        ExpressionError: If the expression has no value, or takes too many steps.

    """
    budget = Budget(steps_max)
    evaluator = _Evaluator(context, budget)
    try:
        value = evaluator.evaluate(expression, context.locals)
        budget.weigh(value)
    except (OperationError, RecursionError) as error:
        message = str(error) if isinstance(error, OperationError) else "is nested too deep"
        raise ExpressionError(message, expression.line, expression.column) from error
    return value


_Names = Mapping[str, Json]
_MISSING: Any = object()


class _Evaluator:
    """Evaluates the parts of one expression; `names` holds the locals and the lambda parameters around a part."""

    def __init__(self, context: EvaluationContext, budget: Budget) -> None:
        self._context = context
        self._budget = budget

    def evaluate(self, expression: Expression, names: _Names) -> Json:
        try:
            self._budget.spend()
            return self._METHODS[type(expression)](self, expression, names)
        except OperationError as problem:
            raise ExpressionError(str(problem), expression.line, expression.column) from problem

    def _literal(self, literal: Literal, _: _Names) -> Json:
        return literal.value

    def _duration(self, duration: Duration, _: _Names) -> int:
        return to_milliseconds(duration.value)

    def _template(self, template: Template, names: _Names) -> str:
        pieces = []
        for part in template.parts:
            piece = part if isinstance(part, str) else self._shown(part, names)
            self._budget.spend(len(piece) // 64)
            pieces.append(piece)
        return text("".join(pieces))

    def _shown(self, part: Expression, names: _Names) -> str:
        value = self.evaluate(part, names)
        self._budget.weigh(value)
        return shown(value)

    def _array(self, array: Array, names: _Names) -> list[Json]:
        items = [self.evaluate(item, names) for item in array.items]
        self._budget.weigh(items)
        return items

    def _object(self, obj: Object, names: _Names) -> dict[str, Json]:
        entries = {key: self.evaluate(value, names) for key, value in obj.entries}
        self._budget.weigh(entries)
        return entries

    # ---- paths ----

    def _reference(self, reference: Reference, names: _Names) -> Json:
        if reference.name in names:
            return names[reference.name]
        if reference.name == CONTEXT_NAME:
            return self._context.input
        if reference.name in self._context.outputs:
            return self._context.outputs[reference.name]
        raise OperationError(f"`{reference.name}` has no value here")

    def _member(self, member: Member, names: _Names) -> Json:
        target = self.evaluate(member.target, names)
        if member.name == OUTPUT_MEMBER and self._is_node(member.target, names):
            return target
        return operators.member(target, member.name, safe=member.safe)

    def _is_node(self, target: Expression, names: _Names) -> bool:
        return (
            isinstance(target, Reference)
            and target.name != CONTEXT_NAME
            and target.name not in names
            and target.name in self._context.outputs
        )

    def _index(self, index: Index, names: _Names) -> Json:
        target = self.evaluate(index.target, names)
        if target is None and index.safe:
            return None
        return operators.index(target, self.evaluate(index.index, names), safe=index.safe)

    # ---- operators ----

    def _unary(self, unary: Unary, names: _Names) -> Json:
        return operators.unary(unary.operator, self.evaluate(unary.operand, names))

    def _binary(self, binary: Binary, names: _Names) -> Json:
        left = self.evaluate(binary.left, names)
        match binary.operator:
            case "??":
                return self.evaluate(binary.right, names) if left is None else left
            case "&&":
                return operators.truth(left, "&&") and self._condition(binary.right, names, "&&")
            case "||":
                return operators.truth(left, "||") or self._condition(binary.right, names, "||")
            case _:
                return self._eager(binary, left, names)

    def _eager(self, binary: Binary, left: Json, names: _Names) -> Json:
        right = self.evaluate(binary.right, names)
        if isinstance(left, list | dict) or isinstance(right, list | dict):
            self._budget.weigh([left, right])
        return operators.binary(binary.operator, left, right)

    def _condition(self, expression: Expression, names: _Names, where: str) -> bool:
        return operators.truth(self.evaluate(expression, names), where)

    def _conditional(self, conditional: Conditional, names: _Names) -> Json:
        test = self._condition(conditional.test, names, "? :")
        return self.evaluate(conditional.then if test else conditional.otherwise, names)

    def _when(self, when: When, names: _Names) -> Json:
        subject = _MISSING if when.subject is None else self.evaluate(when.subject, names)
        for value, result in when.arms:
            if self._matches(subject, value, names):
                return self.evaluate(result, names)
        if when.otherwise is None:
            raise OperationError("no arm of this `when` fits; add `otherwise -> ...`")
        return self.evaluate(when.otherwise, names)

    def _matches(self, subject: Json, value: Expression, names: _Names) -> bool:
        if subject is _MISSING:
            return self._condition(value, names, "when")
        candidate = self.evaluate(value, names)
        self._budget.weigh([subject, candidate])
        return equal(subject, candidate)

    # ---- calls ----

    def _call(self, call: Call, names: _Names) -> Json:
        function = FUNCTIONS.get(call.function)
        if function is None:
            raise OperationError(f"there is no function {call.function}")
        arguments = [
            self._lambda(argument, names) if isinstance(argument, Lambda) else self.evaluate(argument, names)
            for argument in call.arguments
        ]
        function.check(arguments)
        self._charge(function, arguments)
        result = self._run(function, arguments)
        if function.cost is not Cost.CONSTANT:
            self._budget.weigh(result)
        return result

    def _lambda(self, function: Lambda, names: _Names) -> LambdaValue:
        def call(*arguments: Json) -> Json:
            return self.evaluate(function.body, {**names, **dict(zip(function.parameters, arguments, strict=False))})

        return LambdaValue(len(function.parameters), call)

    def _charge(self, function: Function, arguments: list[Json | LambdaValue]) -> None:
        for argument in arguments:
            if function.cost is Cost.DEEP:
                self._budget.weigh(argument)
            elif function.cost is Cost.SHALLOW and isinstance(argument, list | dict | str):
                self._budget.spend(len(argument) // VALUES_PER_STEP)

    def _run(self, function: Function, arguments: list[Json | LambdaValue]) -> Json:
        environment = (self._context,) if function.takes_environment else ()
        try:
            return function.implementation(*environment, *arguments)
        except (ArithmeticError, ValueError) as error:
            raise OperationError(f"{function.name}: {error}") from error

    _METHODS: ClassVar[Mapping[type, Callable[..., Json]]] = {
        Literal: _literal,
        Duration: _duration,
        Template: _template,
        Array: _array,
        Object: _object,
        Reference: _reference,
        Member: _member,
        Index: _index,
        Unary: _unary,
        Binary: _binary,
        Conditional: _conditional,
        When: _when,
        Call: _call,
    }
