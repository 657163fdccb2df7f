"""Plain JSON values as expressions see them: their limits, names in messages, text, order and equality."""

import json
import math
from collections.abc import Hashable
from typing import Any

Json = Any
"""None, bool, int, float, str, list or dict with str keys."""

INTEGER_MAX = 2**63 - 1
"""Largest integer, and with a minus sign the smallest: what a signed 64-bit field of any worker can hold."""

STRING_LENGTH_MAX = 1024 * 1024
"""Longest string an expression may make, in characters."""

VALUE_NESTING_MAX = 100
"""Deepest list or object an expression may make."""

STEPS_MAX = 1_000_000
"""Steps one evaluation may take: about a second of work, far above what an input needs, far below a hang."""

VALUES_PER_STEP = 4
"""How many values a step pays for where they are only looked at."""


class OperationError(Exception):
    """An operation cannot be done with these values. The evaluator adds the place and raises an ExpressionError."""


class Budget:
    """Counts the steps of one evaluation, and charges for the size of the values it makes.

    A value may hold another one twice, so a few steps could otherwise make one that takes years to write down.
    """

    def __init__(self, steps_max: int = STEPS_MAX) -> None:
        self._steps_left = steps_max
        self._steps_max = steps_max

    def spend(self, steps: int = 1) -> None:
        """Take steps.

        Raises:
            OperationError: If none are left.

        """
        self._steps_left -= steps
        if self._steps_left < 0:
            raise OperationError(f"takes more than {self._steps_max} steps; do this work in a node")

    def weigh(self, value: Json) -> None:
        """Charge for all that a value holds, and check that it is plain JSON within the limits.

        Raises:
            OperationError: If the budget is spent or the value breaks a limit.

        """
        level = [value]
        for _ in range(VALUE_NESTING_MAX + 1):
            inner: list[Json] = []
            for item in level:
                inner.extend(_parts(item))
                if len(inner) > self._steps_left * VALUES_PER_STEP:
                    self.spend(self._steps_left + 1)
            self.spend(1 + len(inner) // VALUES_PER_STEP)
            if not inner:
                return
            level = inner
        raise OperationError(f"makes a value nested deeper than {VALUE_NESTING_MAX} levels")


def _parts(value: Json) -> "list[Json]":
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        text(value)
    elif not (value is None or isinstance(value, bool)):
        number(value)
    return []


def text(value: str) -> str:
    """Give the string back.

    Raises:
        OperationError: If it is longer than an expression may make.

    """
    if len(value) > STRING_LENGTH_MAX:
        raise OperationError(f"makes a string of {len(value)} characters; at most {STRING_LENGTH_MAX} are allowed")
    return value


def number(value: Json) -> int | float:
    """Give the number back.

    Raises:
        OperationError: If it is out of range, not finite, or no number.

    """
    if isinstance(value, int) and abs(value) <= INTEGER_MAX:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise OperationError(f"makes {_unfit(value)}, which is not a JSON number")


def _unfit(value: Json) -> str:
    return "an integer of more than 64 bits" if isinstance(value, int) else f"{value}"[:40]


def is_number(value: Json) -> bool:
    """Tell whether a value is a number; a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def type_name(value: Json) -> str:
    """Name the JSON type of a value: null, boolean, number, string, list or object."""
    for types, name in ((bool, "boolean"), ((int, float), "number"), (str, "string"), (list, "list"), (dict, "object")):
        if isinstance(value, types):
            return name
    return "null"


def described(value: Json) -> str:
    """Name the type of a value as it stands in a message: `null`, `a string`, `an object`."""
    name = type_name(value)
    return name if name == "null" else f"an {name}" if name == "object" else f"a {name}"


def shown(value: Json) -> str:
    """Give the text of a value inside a string: null prints empty, lists and objects as compact JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Json) -> str:
    """Write a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def identity(value: Json) -> Hashable:
    """Give a key that two values share exactly if they are equal: 1 equals 1.0, but true does not equal 1."""
    if isinstance(value, dict):
        return "object", frozenset((key, identity(item)) for key, item in value.items())
    if isinstance(value, list):
        return "list", tuple(identity(item) for item in value)
    return type_name(value), value


def equal(left: Json, right: Json) -> bool:
    """Compare two values deeply, by JSON type and content."""
    if type_name(left) != type_name(right):
        return False
    return identity(left) == identity(right) if isinstance(left, list | dict) else bool(left == right)


def comparable(left: Json, right: Json) -> bool:
    """Tell whether two values have an order: both are numbers, or both are strings."""
    return (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str))
