"""Collects the findings of one pass over a graph."""

from collections.abc import Iterable
from dataclasses import replace

from bloge_orchestrator.diagnostics import Diagnostic, Severity, Stage
from bloge_orchestrator.dsl.source import Place

PROBLEMS_MAX = 100
"""A pass ends after this many findings: nobody reads more, and a broken text cannot cost more time."""


class PassOverError(Exception):
    """The pass is over: there are `PROBLEMS_MAX` findings, which is enough, or the graph is far too large."""


class Problems:
    """The findings so far, of the text that was given and of the files it imports.

    Args:
        found: Where they are kept; the views of several files share it.
        file: The imported file that is looked at; None for the text that was given.
        text: What the imported file holds.
    """

    def __init__(self, found: list[Diagnostic] | None = None, *, file: str | None = None, text: str = "") -> None:
        self._found: list[Diagnostic] = [] if found is None else found
        self._file = file
        self._lines = text.split("\n")

    def of_file(self, name: str, text: str) -> "Problems":
        """Give the same findings, to which those of an imported file are added as such."""
        return Problems(self._found, file=name, text=text)

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
            PassOverError: If it is one too many.

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
            PassOverError: If it is one too many.

        """
        self.add(Diagnostic(stage, code, Severity.WARNING, message, node, field), place)

    def add(self, diagnostic: Diagnostic, place: Place | None) -> None:
        """Add a finding at a place.

        Raises:
            PassOverError: If it is one too many.

        """
        line, column = (place.line, place.column) if place else (None, None)
        self.take([replace(diagnostic, line=line, column=column)])

    def take(self, found: Iterable[Diagnostic]) -> None:
        """Add findings that have their places already.

        Raises:
            PassOverError: If there are too many.

        """
        for diagnostic in found:
            if len(self._found) >= PROBLEMS_MAX:
                raise PassOverError
            self._found.append(self._in_file(diagnostic))

    def _in_file(self, diagnostic: Diagnostic) -> Diagnostic:
        line = diagnostic.line
        if self._file is None or line is None:
            return replace(diagnostic, file=self._file)
        return replace(diagnostic, file=self._file, source_line=self._lines[line - 1])

    def in_order(self) -> tuple[Diagnostic, ...]:
        """Give the findings in the order of the source, those without a place first, those of imported files last."""
        ordered = sorted(self._found, key=lambda each: (each.file or "", each.line or 0, each.column or 0))
        # A file that is read for each of its uses has its findings for each of them.
        return tuple(dict.fromkeys(ordered))

    def has_errors(self) -> bool:
        """Tell whether a finding is an error."""
        return any(found.severity is Severity.ERROR for found in self._found)
