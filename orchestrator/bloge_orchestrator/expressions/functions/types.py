"""Functions about null, about types, and between types."""

import math
import re

from bloge_orchestrator.expressions.functions.signature import Cost, FunctionTable, declare
from bloge_orchestrator.expressions.values import Json, OperationError, described, is_number, number, shown, type_name

FUNCTIONS: FunctionTable = {}

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")
_SHOWN_MAX = 40


@declare(FUNCTIONS, "coalesce", "any*", Cost.CONSTANT)
def _coalesce(*values: Json) -> Json:
    return next((value for value in values if value is not None), None)


@declare(FUNCTIONS, "default", "any any", Cost.CONSTANT)
def _default(value: Json, default: Json) -> Json:
    return default if value is None else value


@declare(FUNCTIONS, "isNull", "any", Cost.CONSTANT)
def _is_null(value: Json) -> bool:
    return value is None


@declare(FUNCTIONS, "isNotNull", "any", Cost.CONSTANT)
def _is_not_null(value: Json) -> bool:
    return value is not None


@declare(FUNCTIONS, "typeOf", "any", Cost.CONSTANT)
def _type_of(value: Json) -> str:
    return type_name(value)


@declare(FUNCTIONS, "isString", "any", Cost.CONSTANT)
def _is_string(value: Json) -> bool:
    return isinstance(value, str)


@declare(FUNCTIONS, "isNumber", "any", Cost.CONSTANT)
def _is_number(value: Json) -> bool:
    return is_number(value)


@declare(FUNCTIONS, "isBoolean", "any", Cost.CONSTANT)
def _is_boolean(value: Json) -> bool:
    return isinstance(value, bool)


@declare(FUNCTIONS, "isList", "any", Cost.CONSTANT)
def _is_list(value: Json) -> bool:
    return isinstance(value, list)


@declare(FUNCTIONS, "isObject", "any", Cost.CONSTANT)
def _is_object(value: Json) -> bool:
    return isinstance(value, dict)


@declare(FUNCTIONS, "toString", "any", Cost.DEEP)
def _to_string(value: Json) -> str:
    return shown(value)


@declare(FUNCTIONS, "toNumber", "any")
def _to_number(value: Json) -> int | float:
    if isinstance(value, str):
        return _parsed(value)
    if is_number(value):
        return number(value)
    raise OperationError(f"toNumber: {described(value)} is not a number")


@declare(FUNCTIONS, "toInt", "any")
def _to_int(value: Json) -> int:
    return math.trunc(_to_number(value))


@declare(FUNCTIONS, "toBoolean", "any", Cost.CONSTANT)
def _to_boolean(value: Json) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise OperationError('toBoolean: only true, false, "true" and "false" are booleans')


def _parsed(text: str) -> int | float:
    if not _NUMBER.fullmatch(text.strip()):
        raise OperationError(f'toNumber: "{text[:_SHOWN_MAX]}" is not a number')
    return number(int(text) if text.strip().lstrip("+-").isdecimal() else float(text))
