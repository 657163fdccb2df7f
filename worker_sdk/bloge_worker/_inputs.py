"""Turns decoded JSON into the type that a handler's input is annotated with."""

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from bloge_worker.errors import PayloadError

Binder = Callable[[Any], Any]
"""Takes a decoded JSON value, returns the typed one, raises `PayloadError` if it does not fit."""


def binder_for(annotation: Any) -> Binder | None:  # noqa: ANN401 - whatever stands in an annotation
    """Return what makes a value of the annotated type; None if the decoded JSON serves as it is.

    Known are dataclasses and TypedDicts, lists, dicts and optionals of them, and classes with pydantic's
    `model_validate`. Anything else is the author's word to readers.
    """
    if isinstance(annotation, type):
        return _binder_for_class(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return _list_binder(binder_for(arguments[0]))
    if origin is dict:
        return _dict_binder(binder_for(arguments[1]))
    if origin in (typing.Union, types.UnionType):
        return _optional_binder(arguments)
    return None


def _binder_for_class(annotation: type) -> Binder | None:
    if typing.is_typeddict(annotation):
        return _typed_dict_binder(annotation)
    if dataclasses.is_dataclass(annotation):
        return _dataclass_binder(annotation)
    validate = getattr(annotation, "model_validate", None)
    return _validating_binder(annotation, validate) if callable(validate) else None


def _dataclass_binder(annotation: type) -> Binder:
    # Made at the first use: a class may refer to itself.
    binders: dict[str, Binder | None] = {}

    def bind(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        members = _object(value, annotation)
        if not binders:
            binders.update(_member_binders(annotation))
        known = {name: _bound(binders[name], members[name]) for name in binders if name in members}
        try:
            return annotation(**known)
        except (TypeError, ValueError) as error:
            raise PayloadError(f"input: not a {annotation.__name__}: {error}") from error

    return bind


def _member_binders(annotation: Any) -> dict[str, Binder | None]:  # noqa: ANN401 - a dataclass
    hints = typing.get_type_hints(annotation)
    return {each.name: binder_for(hints.get(each.name)) for each in dataclasses.fields(annotation) if each.init}


def _typed_dict_binder(annotation: type) -> Binder:
    required: frozenset[str] = getattr(annotation, "__required_keys__", frozenset())
    binders: dict[str, Binder | None] = {}

    def bind(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        members = _object(value, annotation)
        if not binders:
            binders.update({name: binder_for(hint) for name, hint in typing.get_type_hints(annotation).items()})
        missing = sorted(required - members.keys())
        if missing:
            raise PayloadError(f"input: not a {annotation.__name__}: missing {', '.join(missing)}")
        return {name: _bound(binders.get(name), member) for name, member in members.items()}

    return bind


def _validating_binder(annotation: type, validate: Binder) -> Binder:
    def bind(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        try:
            return validate(value)
        except ValueError as error:
            raise PayloadError(f"input: not a {annotation.__name__}: {error}") from error

    return bind


def _list_binder(binder: Binder | None) -> Binder | None:
    if binder is None:
        return None

    def bind(value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(value, list):
            raise PayloadError(f"input: expected a list, found {type(value).__name__}")
        return [binder(each) for each in value]

    return bind


def _dict_binder(binder: Binder | None) -> Binder | None:
    if binder is None:
        return None
    return lambda value: {name: binder(member) for name, member in _object(value, dict).items()}


def _optional_binder(alternatives: tuple[Any, ...]) -> Binder | None:
    """Bind `X | None`; of a wider union only the author knows which alternative is meant."""
    others = [each for each in alternatives if each is not type(None)]
    binder = binder_for(others[0]) if len(others) == 1 else None
    return None if binder is None else lambda value: None if value is None else binder(value)


def _object(value: Any, annotation: type) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        raise PayloadError(f"input: expected an object for {annotation.__name__}, found {type(value).__name__}")
    return value


def _bound(binder: Binder | None, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value if binder is None else binder(value)
