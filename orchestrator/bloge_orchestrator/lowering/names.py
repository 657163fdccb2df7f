"""Ids and names: which may be given, and how often."""

from collections.abc import Iterable
from typing import TypeVar

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.lowering.fields import NAME_PATTERN
from bloge_orchestrator.lowering.problems import Problems

_Member = TypeVar("_Member")


def first_by_name(
    members: Iterable[tuple[str, Place | None, _Member]], kind: str, problems: Problems
) -> dict[str, _Member]:
    """Give the members by name; of two with the same name the first, with an error about the second."""
    first: dict[str, _Member] = {}
    places: dict[str, Place | None] = {}
    for name, place, member in members:
        if name in first:
            earlier = places[name]
            where = f" in line {earlier.line}" if earlier else ""
            message = f"{kind} id `{name}` is taken: it is declared{where} too"
            problems.error(Stage.LINT, "duplicate-id", message, place, name if kind == "node" else None)
        else:
            first[name], places[name] = member, place
    return first


def check_name(name: str, kind: str, place: Place | None, problems: Problems) -> None:
    """Report a name that could not stand in a journal or in the name of a work item."""
    if not NAME_PATTERN.fullmatch(name):
        message = f"{kind} id `{name[:40]}` must have 1 to 128 letters, digits and `_`"
        problems.error(Stage.COMPILE, "invalid-id", message, place)
