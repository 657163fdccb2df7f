"""Checks and converts JSON values that have no members."""

import datetime as dt
import decimal
import enum
import types
import uuid
from collections.abc import Callable
from typing import Any, TypeGuard

from bloge_worker.errors import PayloadError

Binder = Callable[[Any, str], Any]
"""Takes a decoded JSON value and where it stands (`input.size`), returns the typed one, raises `PayloadError` if it
does not fit."""


def described(value: object) -> str:
    """Return a JSON value's type and, where it helps, its size; never its content, which is the producer's."""
    match value:
        case None:
            return "null"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return type(value).__name__


def is_enum(annotation: type) -> TypeGuard[type[enum.Enum]]:
    """Tell whether a class is an enumeration."""
    return issubclass(annotation, enum.Enum)


def bind_enum(annotation: type[enum.Enum]) -> Binder:
    """Bind a value to the member that has it."""

    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        try:
            return annotation(value)
        except ValueError:
            raise PayloadError(f"{at}: expected {_listed(each.value for each in annotation)}") from None

    return bind


def bind_literal(values: tuple[Any, ...]) -> Binder:
    """Bind one of some values."""

    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        # True equals 1, but JSON tells them apart.
        if any(value == each and type(value) is type(each) for each in values):
            return value
        raise PayloadError(f"{at}: expected {_listed(values)}")

    return bind


def _listed(values: Any) -> str:  # noqa: ANN401 - an iterable of anything
    return "one of " + ", ".join(repr(each) for each in values)


def _bind_int(value: Any, at: str) -> int:  # noqa: ANN401 - any JSON value
    # JSON has one kind of number: a producer may write 3.0 and mean 3.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _unfit("int", value, at)


def _bind_float(value: Any, at: str) -> float:  # noqa: ANN401 - any JSON value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise _unfit("float", value, at)


def _exactly(wanted: type) -> Binder:
    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, wanted):
            return value
        raise _unfit(_WORDS.get(wanted, wanted.__name__), value, at)

    return bind


def _from_text(wanted: str, parse: Callable[[str], object]) -> Binder:
    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(value, str):
            raise _unfit(wanted, value, at)
        try:
            return parse(value)
        except (ValueError, ArithmeticError):
            raise PayloadError(f"{at}: the text is not {wanted}") from None

    return bind


def _decimal(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
    # Through its shortest text: 0.1 means one tenth, not the double next to it.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return _decimal_from_text(repr(value) if number else value, at)


def _unfit(wanted: str, value: object, at: str) -> PayloadError:
    return PayloadError(f"{at}: expected {wanted}, found {described(value)}")


_WORDS: dict[type, str] = {list: "a list", dict: "an object", types.NoneType: "null"}
_decimal_from_text = _from_text("a decimal number", decimal.Decimal)

SCALARS: dict[type, Binder] = {
    int: _bind_int,
    float: _bind_float,
    **{each: _exactly(each) for each in (bool, str, bytes, list, dict, types.NoneType)},
    dt.datetime: _from_text("an instant in ISO 8601", dt.datetime.fromisoformat),
    dt.date: _from_text("a date in ISO 8601", dt.date.fromisoformat),
    uuid.UUID: _from_text("a UUID", uuid.UUID),
    decimal.Decimal: _decimal,
}
"""How to bind each class that is not looked into."""
