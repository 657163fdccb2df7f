"""What the operators and paths of expressions mean, value by value."""

import math
import operator
from collections.abc import Callable

from bloge_orchestrator.expressions.values import (
    Json,
    OperationError,
    comparable,
    described,
    equal,
    is_number,
    number,
    shown,
    text,
)

LENGTH_MEMBERS = frozenset({"size", "length"})
"""The members of a list and of a string."""

_COMPARISONS: dict[str, Callable[[Json, Json], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def member(target: Json, name: str, *, safe: bool) -> Json:
    """Give a field of an object, null if it has none; `size` and `length` also of a list and a string.

    Raises:
        OperationError: If the target has no fields.

    """
    if isinstance(target, dict):
        return target.get(name)
    if target is None:
        if safe:
            return None
        raise OperationError(f"cannot read `{name}` of null; write `?.{name}` if null is expected")
    if name in LENGTH_MEMBERS and isinstance(target, list | str):
        return len(target)
    raise OperationError(f"cannot read `{name}` of {described(target)}")


def index(target: Json, key: Json, *, safe: bool) -> Json:
    """Give an item of a list by its position, from the end if negative, or a field of an object by its name.

    Raises:
        OperationError: If the target cannot be indexed that way, or the position is out of range and not `safe`.

    """
    if isinstance(target, dict) and isinstance(key, str):
        return target.get(key)
    if isinstance(target, list) and isinstance(key, int) and not isinstance(key, bool):
        if -len(target) <= key < len(target):
            return target[key]
        if safe:
            return None
        raise OperationError(
            f"index {key} is out of range, the list has {len(target)} items; `?[...]` gives null instead"
        )
    if target is None:
        raise OperationError("cannot index null; write `?[...]` if null is expected")
    raise OperationError(f"cannot index {described(target)} with {described(key)}")


def truth(value: Json, where: str) -> bool:
    """Give a boolean back.

    Raises:
        OperationError: If the value is none.

    """
    if isinstance(value, bool):
        return value
    hint = "; write `?? false` if null is expected" if value is None else ""
    raise OperationError(f"`{where}` needs a boolean, got {described(value)}{hint}")


def unary(symbol: str, operand: Json) -> Json:
    """Apply `!` or `-`.

    Raises:
        OperationError: If the operand is of the wrong type.

    """
    if symbol == "!":
        return not truth(operand, "!")
    if not is_number(operand):
        raise OperationError(f"`-` needs a number, got {described(operand)}")
    return number(-operand)


def binary(symbol: str, left: Json, right: Json) -> Json:
    """Apply an operator that needs both its operands.

    Raises:
        OperationError: If the operands do not fit it, or the result is out of range.

    """
    if symbol in {"==", "!="}:
        return equal(left, right) is (symbol == "==")
    if symbol in _COMPARISONS:
        if not comparable(left, right):
            raise OperationError(f"`{symbol}` needs two numbers or two strings, {_got(left, right)}")
        return _COMPARISONS[symbol](left, right)
    if symbol == "+" and not (is_number(left) and is_number(right)):
        return _joined(left, right)
    return _arithmetic(symbol, left, right)


def _joined(left: Json, right: Json) -> Json:
    if isinstance(left, list) and isinstance(right, list):
        return left + right
    if isinstance(left, str) or isinstance(right, str):
        return text(shown(left) + shown(right))
    raise OperationError(f"`+` needs numbers, strings or lists, {_got(left, right)}")


def _arithmetic(symbol: str, left: Json, right: Json) -> Json:
    if not (is_number(left) and is_number(right)):
        raise OperationError(f"`{symbol}` needs two numbers, {_got(left, right)}")
    if symbol in {"/", "%"} and right == 0:
        raise OperationError(f"`{symbol}` by zero")
    try:
        return number(_ARITHMETIC[symbol](left, right))
    except OverflowError as error:
        raise OperationError(f"`{symbol}` makes a number out of range") from error


def _quotient(left: Json, right: Json) -> Json:
    """Divide; two integers that divide evenly give an integer."""
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _remainder(left: Json, right: Json) -> Json:
    """Give the remainder with the sign of the dividend, as the languages of most workers do."""
    if isinstance(left, int) and isinstance(right, int):
        return abs(left) % abs(right) * (1 if left >= 0 else -1)
    return math.fmod(left, right)


_ARITHMETIC: dict[str, Callable[[Json, Json], Json]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": _remainder,
}


def _got(left: Json, right: Json) -> str:
    return f"got {described(left)} and {described(right)}"
