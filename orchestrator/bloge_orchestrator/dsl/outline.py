"""The outline of a text that does not parse: its parts one by one, so that each can be tried on its own.

Works on the bare text, in which comments and strings are blank and every brace is a real one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bloge_orchestrator.dsl.refused import REFUSED

_HEADER = re.compile(r"\s*graph\s+(?P<name>[A-Za-z_]\w*)\s*\{")
_MARK = re.compile(
    r"""(?P<member>(?m:^)[ \t]*(?:(?:node|transform|schema|foreach)[ \t]+\w+[ \t]*(?=[:{])|branch[ \t]+(?:on|mode)\b))
      | (?P<open>\{)
      | (?P<close>\})
      | (?P<other>[^\s{},]+)""",
    re.VERBOSE,
)
_OPEN_NEXT = re.compile(r"\s*\{")
_WORD = re.compile(r"\s*(?P<word>[^\s{}:(]*)")

MEMBER_RULES = {
    "node": "node",
    "branch": "branch",
    "foreach": "foreach",
    "transform": "transformation",
    "schema": "schema",
    "input": "ports",
    "output": "ports",
}
"""The keyword that starts each member, and the grammar rule that reads it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One part of a graph: from `start` up to `end`. `closed` is False if the next member came before its `}`."""

    keyword: str
    start: int
    end: int
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Outline:
    """A graph's name, where the name stands, its members, and where it ends; `end` is None if its `}` is missing."""

    name: str
    name_offset: int
    chunks: tuple[Chunk, ...]
    end: int | None


def outline(bare: str, start: int) -> Outline | None:
    """Find the members of the graph that starts at an offset, or answer None if there is no `graph name {`."""
    header = _HEADER.match(bare, start)
    if header is None:
        return None
    chunks = tuple(parts(bare, header.end(), len(bare)))
    end = chunks[-1].end if chunks and chunks[-1].keyword == "}" else None
    members = chunks if end is None else chunks[:-1]
    return Outline(header["name"], header.start("name"), members, end)


def first_word(bare: str, start: int) -> tuple[str, int]:
    """Give the word at or after an offset, up to a blank, a brace, a colon or a parenthesis, and where it starts."""
    match = _WORD.match(bare, start)
    assert match is not None
    return match["word"], match.start("word")


def parts(bare: str, position: int, limit: int) -> Iterator[Chunk]:
    """Give the parts of a block by its braces, from behind its `{` on; the last one is its own `}` if it is there."""
    depth, start = 0, None
    for mark in _MARK.finditer(bare, position, limit):
        if start is not None and mark["member"] is not None and (depth == 0 or not _may_hold_nodes(bare, start)):
            yield _chunk(bare, start, mark.start(), closed=False)
            depth, start = 0, None
        if mark["close"] is None:
            start = mark.start() if start is None else start
            depth += mark["open"] is not None
            continue
        depth -= 1
        if depth == 0 and _OPEN_NEXT.match(bare, mark.end(), limit):  # the brace belonged to an expression
            continue
        if depth <= 0 and start is not None:
            yield _chunk(bare, start, mark.end() if depth == 0 else mark.start(), closed=depth == 0)
            start = None
        if depth < 0:
            yield Chunk("}", mark.start(), mark.end())
            return
    if start is not None:
        yield _chunk(bare, start, limit, closed=False)


def _chunk(bare: str, start: int, end: int, *, closed: bool) -> Chunk:
    keyword, word_start = first_word(bare, start)
    return Chunk(keyword, word_start, end, closed)


def _may_hold_nodes(bare: str, start: int) -> bool:
    """Tell whether a chunk is of a kind that may have nodes inside: there, `node x :` does not end it."""
    return first_word(bare, start)[0] in {"foreach", *REFUSED}
