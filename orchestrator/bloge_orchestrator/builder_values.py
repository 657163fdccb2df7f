"""What is given in Python, in the form that the language has for it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict

from bloge_orchestrator.dsl import parse_expression, parse_type
from bloge_orchestrator.dsl.tree import (
    Block,
    Choice,
    Entry,
    ListType,
    ObjectType,
    Output,
    Projection,
    Setting,
    TypeDeclaration,
    TypedField,
)
from bloge_orchestrator.expressions import Array, Expression, Object, Reference
from bloge_orchestrator.expressions.static import literal
from bloge_orchestrator.operators import Json

Type: TypeAlias = str | Mapping[str, Any] | Sequence[Any]
"""A declared type: a text such as "Int?" or "[String]", an object of types by field, or a list of one type."""

Targets: TypeAlias = str | Sequence[str]
"""What an arm of a branch leads to: the id of a node, or several."""

Arms: TypeAlias = Mapping[Any, Targets] | Iterable[tuple[Any, Targets]]
"""The arms of a branch by value. Pairs are for values that a dict cannot have: expressions, or both 1 and True."""


class Retry(TypedDict, total=False):
    """A retry policy as in the language: `attempts` counts retries, a duration is a timedelta or a text like "2s"."""

    attempts: int
    backoff: timedelta | str
    strategy: str
    max_backoff: timedelta | str
    non_retryable: Sequence[str]


class _Resilience(TypedDict, total=False):
    depends_on: Sequence[str]
    timeout: timedelta | str
    retry: Retry
    fallback: Json


class NodeSettings(_Resilience, total=False):
    """The settings of a node, under their names in the language; a setting left out is absent."""

    on_dead_letter: str
    execution_mode: str
    worker_topic: str


class SubgraphSettings(_Resilience, total=False):
    """The settings of a sub-graph node, under their names in the language; a setting left out is absent."""

    scope: str


class ForeachSettings(TypedDict, total=False):
    """The settings of a foreach, under their names in the language; a setting left out is absent."""

    depends_on: Sequence[str]
    max_concurrency: int
    on_item_failure: str


def settings_of(settings: Mapping[str, Json]) -> tuple[Setting, ...]:
    """Give settings by name as the language has them."""
    return tuple(Setting(name, _setting(name, value), None) for name, value in settings.items())


def entries_of(settings: Mapping[str, Json], node_input: Mapping[str, Any] | None, output: Type | None) -> list[Entry]:
    """Give the entries of a node."""
    entries: list[Entry] = [*settings_of(settings)]
    if node_input is not None:
        fields = tuple(Setting(name, literal(value), None) for name, value in node_input.items())
        entries.append(Block("input", fields, None))
    if output is not None:
        entries.append(Output(type_of(output), None))
    return entries


def projections_of(
    fields: Mapping[str, Any], let: Mapping[str, Any] | None, types: Mapping[str, Type] | None
) -> tuple[Projection, ...]:
    """Give the locals and fields of a transform."""
    declared = {name: type_of(each) for name, each in (types or {}).items()}
    locals_ = [Projection(name, literal(value), None, local=True) for name, value in (let or {}).items()]
    return (
        *locals_,
        *(Projection(name, literal(value), None, type=declared.get(name)) for name, value in fields.items()),
    )


def choices_of(arms: Arms, otherwise: Targets | None) -> tuple[Choice, ...]:
    """Give the arms of a branch."""
    pairs = arms.items() if isinstance(arms, Mapping) else arms
    choices = [Choice(literal(value), _targets(targets), None) for value, targets in pairs]
    if otherwise is not None:
        choices.append(Choice(None, _targets(otherwise), None))
    return tuple(choices)


def type_of(declared: Type) -> TypeDeclaration:
    """Give a declared type.

    Raises:
        GraphInvalid: If a text is not a type.
        TypeError: If it is neither a text nor an object nor a list of one type.

    """
    if isinstance(declared, str):
        return parse_type(declared)
    if isinstance(declared, Mapping):
        return object_of(declared)
    if len(declared) == 1:
        return ListType(type_of(declared[0]), optional=False, place=None)
    raise TypeError(f"{declared!r} is no type; use a text such as 'Int?', a dict of fields, or a list of one type")


def object_of(fields: Mapping[str, Type]) -> ObjectType:
    """Give the type of an object."""
    typed = tuple(TypedField(name, type_of(each), None) for name, each in fields.items())
    return ObjectType(typed, optional=False, place=None)


_BARE_WORDS = frozenset({"execution_mode", "on_dead_letter", "strategy", "scope", "on_item_failure"})
_DURATIONS = frozenset({"timeout", "backoff", "max_backoff"})


def _setting(name: str, value: Json) -> Expression:
    """Give a setting the form it has in the language, where some words are bare and durations have no quotes."""
    if name == "depends_on":
        return Array(tuple(Reference(dependency) for dependency in value))
    if name == "retry" and isinstance(value, dict):
        return Object(tuple((key, _setting(key, item)) for key, item in value.items()))
    if name in _BARE_WORDS and isinstance(value, str):
        return Reference(value)
    if name in _DURATIONS and isinstance(value, str):
        return parse_expression(value)
    return literal(value)


def _targets(targets: Targets) -> tuple[Reference, ...]:
    names = [targets] if isinstance(targets, str) else targets
    return tuple(map(Reference, names))
