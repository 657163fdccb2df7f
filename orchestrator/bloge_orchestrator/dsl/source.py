"""A source text and the places in it."""

from bisect import bisect_right
from dataclasses import dataclass

from bloge_orchestrator.diagnostics import Diagnostic, Severity, Stage

SOURCE_LENGTH_MAX = 256 * 1024
"""Longest graph source, in characters: room for a thousand nodes, and the worst text takes seconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1; a column counts characters."""

    line: int
    column: int


class SourceText:
    """A text that can tell where an offset lies."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._line_starts = [0, *(offset + 1 for offset, character in enumerate(text) if character == "\n")]

    def place(self, offset: int) -> Place:
        """Give the line and column of a character offset from 0."""
        line = bisect_right(self._line_starts, offset)
        return Place(line, offset - self._line_starts[line - 1] + 1)


def parse_error(code: str, message: str, place: Place | None) -> Diagnostic:
    """Make the finding of a text that cannot be read."""
    line, column = (place.line, place.column) if place else (None, None)
    return Diagnostic(Stage.PARSE, code, Severity.ERROR, message, line=line, column=column)
