"""The canonical form of a text: what is written stays, how it is set does not matter any more."""

from bloge_orchestrator.diagnostics import GraphInvalid, Severity
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.language import language
from bloge_orchestrator.dsl.scanner import scan
from bloge_orchestrator.dsl.source import SourceText
from bloge_orchestrator.formatting.anchors import anchors
from bloge_orchestrator.formatting.comments import Words
from bloge_orchestrator.formatting.constructs import Constructs
from bloge_orchestrator.formatting.documents import in_lines

WIDTH = 120
"""Longest line, in characters, where something can be broken."""

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
    before.words.keep_above(anchors(before.tree))
    formatted = in_lines(Constructs(before.words).file(before.tree), WIDTH).rstrip("\n") + "\n"
    if _Read(formatted).content != before.content:
        raise AssertionError("formatting has changed the graph; please report this text")
    return formatted


class _Read:
    """A text that parses, word by word. `content` is all that formatting must not change."""

    def __init__(self, text: str) -> None:
        scanned = scan(SourceText(text))
        self.tree = language(keep_all_tokens=True).parse(scanned.code, start="file")
        self.words = Words(text, scanned, self.tree)
        # Of comments the words: those that share a line in the end become one comment.
        comments = sorted(word for start, end in scanned.comments for word in text[start:end].split())
        self.content = self.words.without_commas, comments
