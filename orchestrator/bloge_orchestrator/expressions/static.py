"""Values that are known without an execution: literals, and lists and objects of them."""

from datetime import timedelta

from bloge_orchestrator.durations import to_milliseconds
from bloge_orchestrator.expressions.tree import Array, Duration, Expression, Literal, Object
from bloge_orchestrator.expressions.values import Json


class NotStaticError(Exception):
    """A part of an expression is not a literal; `part` is that part."""

    def __init__(self, part: Expression) -> None:
        super().__init__("not a literal")
        self.part = part


def static_value(expression: Expression) -> Json:
    """Give the value of a literal; a duration is a number of milliseconds.

    Raises:
        NotStaticError: If a part of it is not a literal.

    """
    match expression:
        case Literal(value):
            return value
        case Duration(value):
            return to_milliseconds(value)
        case Array(items):
            return [static_value(item) for item in items]
        case Object(entries):
            return {key: static_value(value) for key, value in entries}
        case _:
            raise NotStaticError(expression)


def literal(value: Json | timedelta | Expression) -> Expression:
    """Give the expression of a Python value; an expression stays as it is, also inside a list or a dict.

    Raises:
        TypeError: If the value is not plain JSON, a timedelta or an expression.

    """
    match value:
        case None | bool() | int() | float() | str():
            return Literal(value)
        case timedelta():
            return Duration(value)
        case list() | tuple():
            return Array(tuple(map(literal, value)))
        case dict():
            return Object(tuple((str(key), literal(item)) for key, item in value.items()))
        case _ if isinstance(value, Expression):
            return value
        case _:
            kind = type(value).__name__
            raise TypeError(f"{kind} cannot stand in a graph; use plain JSON values, timedelta or expr(...)")
