"""The canonical form of a text: what is written stays, how it is set does not matter any more."""

from functools import cached_property

from bloge_orchestrator.diagnostics import GraphInvalid, Severity
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.language import language
from bloge_orchestrator.dsl.reader import nested_too_deep, too_deep
from bloge_orchestrator.dsl.scanner import scan
from bloge_orchestrator.dsl.source import SourceText
from bloge_orchestrator.formatting.anchors import anchors
from bloge_orchestrator.formatting.comments import Words
from bloge_orchestrator.formatting.constructs import Constructs
from bloge_orchestrator.formatting.documents import in_lines

WIDTH = 120
"""Longest line, in characters, where something can be broken."""

NESTING_MAX = 150
"""Deepest nesting of a text that can be formatted, in grammar rules; parentheses count here, as they are kept."""

__all__ = ["WIDTH", "format_source"]


def format_source(text: str, *, filename: str = "<graph>") -> str:
    """Set a text in its canonical form; comments, strings and the order of everything stay as they are.

    Formatting what has been formatted changes nothing.

    Args:
        text: The text of a graph. It need not obey the rules, but it must parse.
        filename: How to name the text in messages.

    Raises:
        GraphInvalid: If the text does not parse; carries what is wrong.

    """
    problems = parse_graph(text).problems
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise GraphInvalid(problems, source=text, filename=filename)
    before = _Read(text)
    if deep := too_deep(before.tree, NESTING_MAX):
        raise GraphInvalid([nested_too_deep(NESTING_MAX, deep)], source=text, filename=filename)
    before.words.keep_above(anchors(before.tree))
    formatted = in_lines(Constructs(before.words).file(before.tree), WIDTH).rstrip("\n") + "\n"
    if _Read(formatted).content != before.content:
        raise AssertionError("formatting has changed the graph; please report this text")
    return formatted


class _Read:
    """A text that parses, word by word."""

    def __init__(self, text: str) -> None:
        scanned = scan(SourceText(text))
        self.tree = language(keep_all_tokens=True).parse(scanned.code, start="file")
        self._text = text
        self._scan = scanned

    @cached_property
    def words(self) -> Words:
        """The words, with what stands around them."""
        return Words(self._text, self._scan, self.tree)

    @property
    def content(self) -> tuple[list[str], list[str]]:
        """All that formatting must not change: the words but for commas, and those of comments, whatever their order.

        Comments that share a line in the end become one comment, so that they cannot be compared as such.
        """
        comments = (word for start, end in self._scan.comments for word in self._text[start:end].split())
        return self.words.without_commas, sorted(comments)
