"""Documents that can be laid out on one line or on several: Wadler's "A prettier printer", as far as it is needed here.

A group is set on one line if it fits, else each of its own lines breaks. What must break breaks all groups around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Line(Enum):
    """A place where a line may end."""

    BLANK = " "
    """A blank, or the end of the line."""
    NOTHING = ""
    """Nothing, or the end of the line."""
    ALWAYS = "\n"
    """The end of the line in any case."""


@dataclass(frozen=True, slots=True)
class Indented:
    """Lines that begin inside are set two blanks further in."""

    content: "Document"


@dataclass(frozen=True, slots=True)
class Group:
    """Breaks as a whole or not at all; `broken` if it must. Made by `group`."""

    content: "Document"
    broken: bool


@dataclass(frozen=True, slots=True)
class Either:
    """One text if the group around is broken, another one if it is not."""

    broken: str
    flat: str


@dataclass(frozen=True, slots=True)
class AtLineEnd:
    """A comment that runs to the end of its line: it is put there, wherever that is.

    `breaks` tells whether the groups around must break. They must if the line can end here; else the comment goes to
    the end of the line that they would be on without it.
    """

    text: str
    breaks: bool


Document: TypeAlias = "str | Line | Indented | Group | Either | AtLineEnd | tuple[Document, ...]"


def joined(parts: "list[Document] | tuple[Document, ...]", between: Document) -> Document:
    """Put something between the parts."""
    return tuple(piece for number, part in enumerate(parts) for piece in ((between, part) if number else (part,)))


def group(content: Document, *, broken: bool = False) -> Group:
    """Make a group, which must break if it is said so or if something in it must."""
    return Group(content, broken or must_break(content))


def must_break(document: Document) -> bool:
    """Tell whether a document cannot stand on one line."""
    match document:
        case tuple():
            return any(map(must_break, document))
        case Indented(content):
            return must_break(content)
        case Group(_, broken):
            return broken
        case _:
            return document is Line.ALWAYS or (isinstance(document, AtLineEnd) and document.breaks)


_Item: TypeAlias = "tuple[int, bool, Document]"
"""An indentation, whether lines break, and what is to be set."""


def in_lines(document: Document, width: int) -> str:
    """Set a document in lines of at most this many characters, where that is possible."""
    printer = _Printer(width)
    printer.set(document)
    return printer.text()


_LOOKED_AT_BEHIND = 64
"""How many parts behind a group are looked at for the end of its line: it comes after a bracket or a comma or two."""


class _Printer:
    def __init__(self, width: int) -> None:
        self._width = width
        self._lines: list[str] = []
        self._line: list[str] = []
        self._column = 0
        self._at_line_end: list[str] = []

    def text(self) -> str:
        """Give what was set."""
        self._end_line()
        return "\n".join(self._lines)

    def set(self, document: Document) -> None:
        """Set a document."""
        stack: list[_Item] = [(0, True, document)]
        while stack:
            indent, breaks, part = stack.pop()
            match part:
                case tuple():
                    stack += [(indent, breaks, each) for each in reversed(part)]
                case Indented(content):
                    stack.append((indent + 2, breaks, content))
                case Group(content):
                    flat = not must_break(part) and self._fits(content, stack)
                    stack.append((indent, not flat, content))
                case _:
                    self._set_leaf(part, indent, breaks=breaks)

    def _set_leaf(self, leaf: "str | Line | Either | AtLineEnd", indent: int, *, breaks: bool) -> None:
        match leaf:
            case str():
                self._write(leaf)
            case Either(broken, flat):
                self._write(broken if breaks else flat)
            case AtLineEnd(text):
                self._at_line_end.append(text)
            case Line() if breaks or leaf is Line.ALWAYS:
                self._end_line()
                self._write(" " * indent)
            case Line():
                self._write(leaf.value)

    def _write(self, text: str) -> None:
        self._line.append(text)
        head, newline, last = text.rpartition("\n")
        self._column = len(last) if newline else self._column + len(head) + len(last)

    def _end_line(self) -> None:
        # A raw string may hold lines of its own, which keep their blanks; it never ends in one, its quotes come last.
        line = "".join(self._line).rstrip(" ")
        ending = "".join(f" {text}" for text in self._at_line_end)
        self._lines.append(line + ending if line else ending.strip(" "))
        self._line, self._at_line_end, self._column = [], [], 0

    def _fits(self, content: Document, behind: list[_Item]) -> bool:
        """Tell whether a group can be set flat, with what follows it up to the next end of a line."""
        left = self._width - self._column
        for breaks, leaf in _leaves([*behind[-_LOOKED_AT_BEHIND:], (0, False, content)]):
            if isinstance(leaf, Line):
                if breaks or leaf is Line.ALWAYS:
                    return True
                left -= len(leaf.value)
            else:
                first, newline, _ = leaf.partition("\n")
                left -= len(first)
                if newline:
                    break
            if left < 0:
                return False
        return left >= 0


def _leaves(stack: list[_Item]) -> Iterator[tuple[bool, str | Line]]:
    """Give the texts and line ends of the last item first, groups behind it as they would be set at best."""
    while stack:
        _, breaks, part = stack.pop()
        match part:
            case tuple():
                stack += [(0, breaks, each) for each in reversed(part)]
            case Indented(content):
                stack.append((0, breaks, content))
            case Group(content):
                stack.append((0, breaks and must_break(part), content))
            case Either(broken, flat):
                yield breaks, broken if breaks else flat
            case str() | Line():
                yield breaks, part
            case AtLineEnd():
                pass
