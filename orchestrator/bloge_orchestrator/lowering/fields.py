"""Reads the settings of a node, or the entries of one of its objects, and reports what is wrong with each."""

import json
import re
from collections.abc import Collection, Iterable
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import Setting
from bloge_orchestrator.durations import format_duration
from bloge_orchestrator.expressions import Array, Duration, Expression, Literal, Object, Reference, Template
from bloge_orchestrator.expressions.static import NotStaticError, static_value
from bloge_orchestrator.graph import Fallback
from bloge_orchestrator.lowering.problems import Problems
from bloge_orchestrator.suggestions import did_you_mean, listed

NAME_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""Names of namespaces, worker topics and ids."""

_Word = TypeVar("_Word", bound=StrEnum)


class Fields:
    """The settings of one node by name. Every reader gives None, or nothing, for a setting that is absent or wrong."""

    def __init__(self, node: str, settings: Iterable[Setting], problems: Problems, prefix: str = "") -> None:
        self._node = node
        self._problems = problems
        self._prefix = prefix
        self._settings: dict[str, Setting] = {}
        for setting in settings:
            self._enter(setting)

    def _enter(self, setting: Setting) -> None:
        if setting.name in self._settings:
            message = f"`{self._prefix}{setting.name}` is given twice; keep one"
            self.report("duplicate-field", message, setting.name, setting.place, stage=Stage.LINT)
        else:
            self._settings[setting.name] = setting

    def __contains__(self, name: str) -> bool:
        return name in self._settings

    def place(self, name: str) -> Place | None:
        """Give the place of a setting's name."""
        setting = self._settings.get(name)
        return setting.place if setting else None

    def value_place(self, name: str) -> Place | None:
        """Give the place of a setting's value."""
        setting = self._settings.get(name)
        return place_of(setting.value) if setting else None

    def only(self, known: Collection[str]) -> None:
        """Report every setting whose name is not known."""
        for setting in self._settings.values():
            if setting.name not in known:
                message = f"`{self._prefix}{setting.name}` is not a field{did_you_mean(setting.name, known)}"
                self.report("unknown-field", message, setting.name, setting.place)

    def duration(self, name: str, *, zero: bool = False) -> timedelta | None:
        """Read a duration; `zero` tells whether it may be none at all."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        if not isinstance(setting.value, Duration):
            self._wrong_type(setting, "a duration such as 30s or 5m")
            return None
        if setting.value.value == timedelta(0) and not zero:
            self._out_of_range(setting, "more than zero", format_duration(setting.value.value))
            return None
        return setting.value.value

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Read an integer from `low` to `high`."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        value = setting.value.value if isinstance(setting.value, Literal) else None
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong_type(setting, "an integer")
            return None
        if not low <= value <= high:
            self._out_of_range(setting, f"from {low} to {high}", str(value))
            return None
        return value

    def text(self, name: str) -> str | None:
        """Read a quoted string without `${}` parts."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        if isinstance(setting.value, Literal) and isinstance(setting.value.value, str):
            return setting.value.value
        self._wrong_type(setting, f'a string such as "{name}"')
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of quoted strings."""
        setting = self._settings.get(name)
        if setting is None:
            return ()
        items = setting.value.items if isinstance(setting.value, Array) else (setting.value,)
        values = [item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str)]
        if not isinstance(setting.value, Array) or len(values) != len(items):
            self._wrong_type(setting, 'a list of strings such as ["ValueError"]')
            return ()
        return tuple(values)

    def word(self, name: str, words: type[_Word], code: str = "wrong-type") -> _Word | None:
        """Read one of the words of an enum, written bare and in lower case."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        known = {word.value.lower(): word for word in words}
        if isinstance(setting.value, Reference) and setting.value.name in known:
            return known[setting.value.name]
        written = setting.value.name if isinstance(setting.value, Reference) else kind_of(setting.value)
        hint = did_you_mean(written, known) if isinstance(setting.value, Reference) else ""
        message = f"`{self._prefix}{name}` must be {listed(known)}, got {written}{hint}"
        self.report(code, message, name, place_of(setting.value))
        return None

    def names(self, name: str) -> tuple[Reference, ...]:
        """Read a list of bare names."""
        setting = self._settings.get(name)
        if setting is None:
            return ()
        items = setting.value.items if isinstance(setting.value, Array) else (setting.value,)
        references = tuple(item for item in items if isinstance(item, Reference))
        if not isinstance(setting.value, Array) or len(references) != len(items):
            self._wrong_type(setting, "a list of node ids such as [load, check]")
            return ()
        return references

    def fallback(self, name: str) -> Fallback | None:
        """Read a literal of any type."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        try:
            return Fallback(static_value(setting.value))
        except NotStaticError as error:
            message = f"`{name}` must be a literal: it is used when nothing can be evaluated any more"
            self.report("wrong-type", message, name, place_of(error.part))
            return None

    def nested(self, name: str) -> "Fields | None":
        """Read an object as fields of its own."""
        setting = self._settings.get(name)
        if setting is None:
            return None
        if not isinstance(setting.value, Object):
            self._wrong_type(setting, "an object such as { attempts: 3, backoff: 2s }")
            return None
        places: list[Place | None] = [Place(*place) for place in setting.value.key_places]
        places = places or [None] * len(setting.value.entries)
        entries = [
            Setting(key, value, place) for (key, value), place in zip(setting.value.entries, places, strict=True)
        ]
        return Fields(self._node, entries, self._problems, prefix=f"{name}.")

    def report(self, code: str, message: str, name: str, place: Place | None, *, stage: Stage = Stage.COMPILE) -> None:
        """Add an error about a setting."""
        self._problems.error(stage, code, message, place, self._node, self._prefix + name)

    def warn(self, code: str, message: str, name: str) -> None:
        """Add a warning about a setting that is there."""
        self._problems.warning(Stage.LINT, code, message, self.place(name), self._node, self._prefix + name)

    def _wrong_type(self, setting: Setting, wanted: str) -> None:
        message = f"`{self._prefix}{setting.name}` must be {wanted}, got {kind_of(setting.value)}"
        self.report("wrong-type", message, setting.name, place_of(setting.value))

    def _out_of_range(self, setting: Setting, wanted: str, got: str) -> None:
        message = f"`{self._prefix}{setting.name}` must be {wanted}, got {got}"
        self.report("out-of-range", message, setting.name, place_of(setting.value))


def place_of(expression: Expression) -> Place | None:
    """Give the place of an expression."""
    if expression.line is None or expression.column is None:
        return None
    return Place(expression.line, expression.column)


def kind_of(expression: Expression) -> str:
    """Name an expression in a message about a wrong type."""
    match expression:
        case Literal(str()):
            return "a string"
        case Literal(value):
            return json.dumps(value)
        case Reference(name):
            return f"the name {name}"
        case _:
            return _KIND_WORDS.get(type(expression), "an expression")


_KIND_WORDS: dict[type, str] = {
    Duration: "a duration",
    Template: "a string with `${}` parts",
    Array: "a list",
    Object: "an object",
}
