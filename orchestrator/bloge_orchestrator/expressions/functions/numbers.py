"""Math functions."""

import math
from decimal import ROUND_HALF_UP, Decimal

from bloge_orchestrator.expressions.functions.signature import Cost, FunctionTable, declare
from bloge_orchestrator.expressions.values import Json, OperationError, comparable, described, is_number, number

Number = int | float

FUNCTIONS: FunctionTable = {}

_EXACT_MAX = 2.0**53
"""Above this a float has no fraction."""
_DIGITS_MAX = 10


@declare(FUNCTIONS, "abs", "number", Cost.CONSTANT)
def _abs(value: Number) -> Number:
    return abs(value)


@declare(FUNCTIONS, "sign", "number", Cost.CONSTANT)
def _sign(value: Number) -> int:
    return (value > 0) - (value < 0)


@declare(FUNCTIONS, "floor", "number")
def _floor(value: Number) -> int:
    return math.floor(value)


@declare(FUNCTIONS, "ceil", "number")
def _ceil(value: Number) -> int:
    return math.ceil(value)


@declare(FUNCTIONS, "round", "number integer?")
def _round(value: Number, digits: int = 0) -> Number:
    """Round half away from zero, as people do on paper."""
    if not 0 <= digits <= _DIGITS_MAX:
        raise OperationError(f"round: digits must be from 0 to {_DIGITS_MAX}, got {digits}")
    if abs(value) >= _EXACT_MAX:
        return int(value)
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return int(rounded) if digits == 0 or isinstance(value, int) else float(rounded)


@declare(FUNCTIONS, "sqrt", "number", Cost.CONSTANT)
def _sqrt(value: Number) -> float:
    if value < 0:
        raise OperationError("sqrt: a negative number has no square root")
    return math.sqrt(value)


@declare(FUNCTIONS, "pow", "number number")
def _pow(base: Number, exponent: Number) -> Number:
    try:
        power = math.pow(base, exponent)
    except (OverflowError, ValueError) as error:
        raise OperationError(f"pow: {base} to the power of {exponent} is not a number") from error
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    return base**exponent if whole and abs(power) < _EXACT_MAX * 1024 else power


@declare(FUNCTIONS, "clamp", "number number number", Cost.CONSTANT)
def _clamp(value: Number, low: Number, high: Number) -> Number:
    return max(low, min(value, high))


@declare(FUNCTIONS, "min", "any*")
def _min(*values: Json) -> Json:
    items = _ordered("min", values)
    return min(items) if items else None


@declare(FUNCTIONS, "max", "any*")
def _max(*values: Json) -> Json:
    items = _ordered("max", values)
    return max(items) if items else None


@declare(FUNCTIONS, "sum", "list")
def _sum(items: list[Json]) -> Number:
    return _total("sum", items)


@declare(FUNCTIONS, "avg", "list")
def _avg(items: list[Json]) -> float | None:
    return _total("avg", items) / len(items) if items else None


def _total(name: str, items: list[Json]) -> Number:
    total: Number = 0
    for item in items:
        if not is_number(item):
            raise OperationError(f"{name}: every item must be a number, got {described(item)}")
        total = number(total + item)
    return total


def _ordered(name: str, values: tuple[Json, ...]) -> list[Json]:
    """Take the items of a single list, or the arguments themselves; all must have an order."""
    items = list(values[0]) if len(values) == 1 and isinstance(values[0], list) else list(values)
    if not all(comparable(item, items[0]) for item in items):
        raise OperationError(f"{name}: the values must be all numbers or all strings")
    return items
