"""Collects the findings of one pass over a graph."""

from collections.abc import Iterable
from dataclasses import replace

from bloge_orchestrator.diagnostics import Diagnostic, Severity, Stage
from bloge_orchestrator.dsl.source import Place

PROBLEMS_MAX = 100
"""A pass ends after this many findings: nobody reads more, and a broken text cannot cost more time."""


class TooManyProblemsError(Exception):
    """The pass is over, `PROBLEMS_MAX` findings are enough."""


class Problems:
    """The findings so far."""

    def __init__(self, found: Iterable[Diagnostic] = ()) -> None:
        self._found = list(found)[:PROBLEMS_MAX]

    def error(
        self,
        stage: Stage,
        code: str,
        message: str,
        place: Place | None,
        node: str | None = None,
        field: str | None = None,
    ) -> None:
        """Add an error.

        Raises:
            TooManyProblemsError: If it is one too many.

        """
        self.add(Diagnostic(stage, code, Severity.ERROR, message, node, field), place)

    def warning(
        self,
        stage: Stage,
        code: str,
        message: str,
        place: Place | None,
        node: str | None = None,
        field: str | None = None,
    ) -> None:
        """Add a warning.

        Raises:
            TooManyProblemsError: If it is one too many.

        """
        self.add(Diagnostic(stage, code, Severity.WARNING, message, node, field), place)

    def add(self, diagnostic: Diagnostic, place: Place | None) -> None:
        """Add a finding at a place.

        Raises:
            TooManyProblemsError: If it is one too many.

        """
        if len(self._found) >= PROBLEMS_MAX:
            raise TooManyProblemsError
        line, column = (place.line, place.column) if place else (None, None)
        self._found.append(replace(diagnostic, line=line, column=column))

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Give the findings in the order of the source, those without a place first."""
        return tuple(sorted(self._found, key=lambda found: (found.line or 0, found.column or 0)))

    def has_errors(self) -> bool:
        """Tell whether a finding is an error."""
        return any(found.severity is Severity.ERROR for found in self._found)
