"""What the demo prints: plain lines, with a little colour on a terminal."""

import sys
import time
from collections.abc import Sequence

_BOLD, _DIM, _GREEN, _RED, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class Screen:
    """Prints to standard output; the time that stands before a line counts from the making of the screen."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty()
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Print what happens, with the time."""
        self.line(f"{self._paint(_DIM, f'{time.monotonic() - self._start:5.1f} s')}  {text}")

    def title(self, text: str) -> None:
        """Print a heading below an empty line."""
        self.line("")
        self.line(self._paint(_BOLD, text))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows of as many cells each, the first of them being the headings, in columns as wide as needed."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for number, row in enumerate(rows):
            text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            self.line("  " + (self._paint(_DIM, text) if number == 0 else text))

    def verdict(self, problems: Sequence[str]) -> None:
        """Print that all is well, or each thing that is not."""
        self.line("")
        for problem in problems:
            self.line(self._paint(_RED, f"FAILED: {problem}"))
        if not problems:
            self.line(self._paint(_GREEN, "OK"))

    def line(self, text: str) -> None:
        """Print a line as it is."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _paint(self, style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if self._colour else text
