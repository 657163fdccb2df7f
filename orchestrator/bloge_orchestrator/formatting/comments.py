"""The words of a text with the comments that belong to each."""

from bisect import bisect_right
from dataclasses import dataclass, field

from lark import Token, Tree

from bloge_orchestrator.dsl.scanner import Scan

_ENDS_OF_AN_EMPTY_LINE = 2


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it is written; `blank_before` tells of an empty line above it."""

    text: str
    blank_before: bool

    @property
    def to_line_end(self) -> bool:
        """Whether everything behind it on its line is a part of it."""
        return self.text.startswith("//")


@dataclass(slots=True)
class Around:
    """What stands around a word: comments on lines of their own above it, and comments behind it on its line."""

    above: list[Comment] = field(default_factory=list)
    behind: list[Comment] = field(default_factory=list)
    blank_before: bool = False
    """Whether an empty line stands above it, below its comments."""


class Words:
    """The words of a text in order, each with what stands around it."""

    def __init__(self, source: str, scan: Scan, tree: Tree[Token]) -> None:
        self._source = source
        tokens = sorted(tree.scan_values(lambda each: isinstance(each, Token)), key=_start)
        self._ends = [_end(token) for token in tokens]
        self._starts = [_start(token) for token in tokens]
        self._commas = {_start(token): token.type == "COMMA" for token in tokens}
        self.without_commas = [str(token) for token in tokens if token.type != "COMMA"]
        self._around: dict[int, Around] = {start: Around() for start in self._starts}
        self.at_the_end: list[Comment] = []
        self._behind_until = 0
        """Where the last comment ends that stands behind a word."""
        for start, end in scan.comments:
            self._place(start, end)
        for start in self._starts:
            self._around[start].blank_before = self._is_blank_above(start)

    def around(self, token: Token) -> Around:
        """Give what stands around a word."""
        return self._around[_start(token)]

    def is_apart(self, token: Token, other: Token) -> bool:
        """Tell whether a line ends between two words, one behind the other."""
        return "\n" in self._source[_end(token) : _start(other)]

    def _place(self, start: int, end: int) -> None:
        """Put a comment behind the word before, if it follows it or its last comment on the same line."""
        comment = Comment(self._source[start:end].rstrip(), self._is_blank_above(start))
        number = bisect_right(self._ends, start)
        if number and "\n" not in self._source[max(self._ends[number - 1], self._behind_until) : start]:
            self._around[self._starts[number - 1]].behind.append(comment)
            self._behind_until = end
        elif number < len(self._starts):
            self._around[self._starts[number]].above.append(comment)
        else:
            self.at_the_end.append(comment)

    def keep_above(self, anchors: frozenset[int]) -> None:
        """Leave comments above the words that start a line, by offset, and put all others behind the word before."""
        behind = self._around[self._starts[0]].behind
        for start in self._starts:
            around = self._around[start]
            if start not in anchors:
                behind += around.above
                around.above = []
            if self._commas[start]:
                behind += around.behind
                around.behind = []
            else:
                behind = around.behind

    def _is_blank_above(self, start: int) -> bool:
        """Tell whether two lines or more end right before an offset."""
        ends = 0
        while start and self._source[start - 1].isspace():
            start -= 1
            ends += self._source[start] == "\n"
        return ends >= _ENDS_OF_AN_EMPTY_LINE


def first_word(part: Tree[Token] | Token) -> Token:
    """Give the first word of a part of the tree."""
    while isinstance(part, Tree):
        part = part.children[0]
    return part


def last_word(part: Tree[Token] | Token) -> Token:
    """Give the last word of a part of the tree."""
    while isinstance(part, Tree):
        part = part.children[-1]
    return part


def _start(token: Token) -> int:
    assert token.start_pos is not None
    return token.start_pos


def _end(token: Token) -> int:
    assert token.end_pos is not None
    return token.end_pos
