"""What the parser and the compiler say about a graph, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as _field
from enum import StrEnum

from bloge_orchestrator.diagnostic_codes import CODES, WARNINGS


class Stage(StrEnum):
    """The step that found the problem."""

    PARSE = "PARSE"
    LINT = "LINT"
    COMPILE = "COMPILE"


class Severity(StrEnum):
    """How bad it is: a graph with an ERROR does not compile."""

    ERROR = "ERROR"
    WARNING = "WARNING"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. Line and column count from 1 and are None for a graph that was built in Python."""

    stage: Stage
    code: str
    severity: Severity
    message: str
    node: str | None = None
    field: str | None = None
    line: int | None = None
    column: int | None = None
    file: str | None = None
    """The imported file it is in; None for the text that was given."""
    source_line: str | None = _field(default=None, compare=False, repr=False)
    """The line of the imported file."""

    def __post_init__(self) -> None:
        assert self.code in CODES, f"{self.code} is not among the codes that are explained"
        assert (self.severity is Severity.WARNING) == (self.code in WARNINGS), f"{self.code} has another severity"

    def to_json(self) -> dict[str, str | int | None]:
        """Give the finding as a JSON object with camel-case keys."""
        return {
            "stage": self.stage.value,
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "nodeId": self.node,
            "field": self.field,
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }

    def render(self, source: str, filename: str) -> str:
        """Show the finding as `FILE:LINE:COL: error[code]: message`, with the source line and a caret below."""
        headline = f"{self.severity.value.lower()}[{self.code}]: {self.message}"
        name = self.file or filename
        if self.line is None or self.column is None:
            return f"{name}: {headline}"
        excerpt = _excerpt(self._line_of(source, self.line), self.column)
        return "\n".join([f"{name}:{self.line}:{self.column}: {headline}", *excerpt])

    def _line_of(self, source: str, line: int) -> str | None:
        if self.file is not None:
            return self.source_line
        lines = source.split("\n")
        return lines[line - 1] if line <= len(lines) else None


class GraphInvalid(Exception):  # noqa: N818 - a state of the graph, not a failure of the program
    """The graph has errors. Carries every finding of the pass, warnings too, in the order of the source."""

    def __init__(self, diagnostics: Sequence[Diagnostic], *, source: str = "", filename: str = "<graph>") -> None:
        self.diagnostics = tuple(diagnostics)
        self.source = source
        self.filename = filename
        super().__init__(render_all(self.diagnostics, source, filename))


def render_all(diagnostics: Sequence[Diagnostic], source: str, filename: str) -> str:
    """Show every finding, one after the other."""
    return "\n".join(diagnostic.render(source, filename) for diagnostic in diagnostics)


_EXCERPT_MAX = 200
"""A longer source line is not shown: the caret would be off the screen."""


def _excerpt(line: str | None, column: int) -> list[str]:
    if line is None or len(line) > _EXCERPT_MAX:
        return []
    text = line.rstrip("\r")
    margin = "".join("\t" if character == "\t" else " " for character in text[: column - 1].ljust(column - 1))
    return [f"  {text}", f"  {margin}^"]
