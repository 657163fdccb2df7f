"""Turns decoded JSON into the type that a handler's input is annotated with."""

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from bloge_worker._scalars import SCALARS, Binder, bind_enum, bind_literal, described, is_enum
from bloge_worker.errors import PayloadError

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_OBJECTS = (dict, collections.abc.Mapping)


def binder_for(annotation: Any) -> Binder | None:  # noqa: ANN401 - whatever stands in an annotation
    """Return what makes a value of the annotated type; None if the decoded JSON serves as it is.

    Known are dataclasses, TypedDicts and classes with pydantic's `model_validate`; JSON's own types, enumerations,
    literals, and texts that stand for instants, UUIDs and decimals; lists, tuples, dicts and unions of all these.
    Anything else is the author's word to readers.

    Args:
        annotation: evaluated; None: there is none.

    Raises:
        NameError: a member's annotation names what is not there at run time.
    """
    return None if annotation is None else _Binding().binder(annotation)


class _Binding:
    """Makes the binders of one annotation. A class that refers to itself is bound by one binder."""

    def __init__(self) -> None:
        self._classes: dict[type, Binder] = {}

    def binder(self, annotation: Any) -> Binder | None:  # noqa: ANN401 - whatever stands in an annotation
        annotation = getattr(annotation, "__supertype__", annotation)  # a NewType
        annotation = getattr(annotation, "__value__", annotation)  # a `type` alias
        if annotation is None:
            annotation = types.NoneType
        if isinstance(annotation, type):
            return self._class_binder(annotation)
        return self._generic_binder(typing.get_origin(annotation), typing.get_args(annotation))

    def _generic_binder(self, origin: Any, arguments: tuple[Any, ...]) -> Binder | None:  # noqa: ANN401 - of an annotation
        if origin is typing.Literal:
            return bind_literal(arguments)
        if origin in (typing.Union, types.UnionType):
            return self._union_binder(arguments)
        if origin is tuple:
            return self._tuple_binder(arguments)
        if origin in _LISTS:
            return _list_binder(self.binder(arguments[0]))
        if origin in _OBJECTS:
            return _dict_binder(self.binder(arguments[1]))
        return None

    def _class_binder(self, annotation: type) -> Binder | None:
        if annotation in SCALARS:
            return SCALARS[annotation]
        if is_enum(annotation):
            return bind_enum(annotation)
        if annotation in self._classes:
            return self._classes[annotation]
        if typing.is_typeddict(annotation) or dataclasses.is_dataclass(annotation):
            return self._record_binder(annotation)
        validate = getattr(annotation, "model_validate", None)
        return _validating_binder(annotation, validate) if callable(validate) else None

    def _record_binder(self, annotation: type) -> Binder:
        members: dict[str, Binder | None] = {}
        required = _required(annotation)
        make = None if typing.is_typeddict(annotation) else annotation

        def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
            if not isinstance(value, dict):
                raise PayloadError(f"{at}: expected an object for {annotation.__name__}, found {described(value)}")
            missing = sorted(required - value.keys())
            if missing:
                raise PayloadError(f"{at}: not a {annotation.__name__}: missing {', '.join(missing)}")
            if make is None:
                return {name: _bound(members.get(name), each, f"{at}.{name}") for name, each in value.items()}
            known = {name: _bound(members[name], value[name], f"{at}.{name}") for name in members if name in value}
            return _made(make, known, at)

        self._classes[annotation] = bind
        for name, hint in _member_hints(annotation).items():
            members[name] = self.binder(hint)
        return bind

    def _union_binder(self, arguments: tuple[Any, ...]) -> Binder | None:
        """Bind the first alternative that fits, in the order in which they are written."""
        binders = [self.binder(each) for each in arguments]
        known = [each for each in binders if each is not None]
        if len(known) < len(binders):
            return None
        names = " or ".join(getattr(each, "__name__", str(each)) for each in arguments)
        # Of `X | None` the one alternative's own complaint says more than that none fits.
        others = [each for each in arguments if each is not types.NoneType]
        lone = self.binder(others[0]) if len(others) == 1 else None

        def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
            if lone is not None:
                return None if value is None else lone(value, at)
            for binder in known:
                try:
                    return binder(value, at)
                except PayloadError:
                    continue
            raise PayloadError(f"{at}: expected {names}, found {described(value)}")

        return bind

    def _tuple_binder(self, arguments: tuple[Any, ...]) -> Binder:
        if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - `tuple[X, ...]`
            items = _list_binder(self.binder(arguments[0]))
            return lambda value, at: tuple(items(value, at))
        binders = [self.binder(each) for each in arguments]

        def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
            if not isinstance(value, list) or len(value) != len(binders):
                raise PayloadError(f"{at}: expected a list of {len(binders)}, found {described(value)}")
            pairs = enumerate(zip(binders, value, strict=True))
            return tuple(_bound(binder, each, f"{at}[{index}]") for index, (binder, each) in pairs)

        return bind


def _member_hints(annotation: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass or a TypedDict
    hints = typing.get_type_hints(annotation)
    if typing.is_typeddict(annotation):
        return hints
    return {each.name: hints.get(each.name, Any) for each in dataclasses.fields(annotation) if each.init}


def _required(annotation: Any) -> frozenset[str]:  # noqa: ANN401 - a dataclass or a TypedDict
    if typing.is_typeddict(annotation):
        keys: frozenset[str] = annotation.__required_keys__
        return keys
    missing = dataclasses.MISSING
    fields = [each for each in dataclasses.fields(annotation) if each.init]
    return frozenset(each.name for each in fields if each.default is missing and each.default_factory is missing)


def _made(make: Callable[..., Any], members: dict[str, Any], at: str) -> Any:  # noqa: ANN401 - an instance
    try:
        return make(**members)
    except (TypeError, ValueError) as error:
        raise PayloadError(f"{at}: not a {getattr(make, '__name__', make)}: {error}") from error


def _validating_binder(annotation: type, validate: Callable[[Any], Any]) -> Binder:
    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        try:
            return validate(value)
        except ValueError as error:
            raise PayloadError(_complaint(annotation, error, at)) from error

    return bind


def _complaint(annotation: type, error: ValueError, at: str) -> str:
    """Return what a model says, without the producer's data, which pydantic would repeat."""
    listed = getattr(error, "errors", None)
    if not callable(listed):
        return f"{at}: not a {annotation.__name__}: {error}"
    return "; ".join(f"{at}{_place(each['loc'])}: {each['msg']}" for each in listed())


def _place(parts: Iterable[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _list_binder(binder: Binder | None) -> Binder:
    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(value, list):
            raise PayloadError(f"{at}: expected a list, found {described(value)}")
        return value if binder is None else [binder(each, f"{at}[{index}]") for index, each in enumerate(value)]

    return bind


def _dict_binder(binder: Binder | None) -> Binder:
    def bind(value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
        if not isinstance(value, dict):
            raise PayloadError(f"{at}: expected an object, found {described(value)}")
        return value if binder is None else {name: binder(each, f"{at}.{name}") for name, each in value.items()}

    return bind


def _bound(binder: Binder | None, value: Any, at: str) -> Any:  # noqa: ANN401 - any JSON value
    return value if binder is None else binder(value, at)
