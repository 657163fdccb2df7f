"""The pass before the parser: blanks out comments, collects doc comments, and finds strings that do not end.

Blanking keeps every other character at its offset, so all positions stay those of the original text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.language import terminal_pattern
from bloge_orchestrator.dsl.source import SourceText, parse_error

_OPENING = re.compile(r'"|//|/\*')
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_LINE_REST = re.compile(r"[^\n]*")
_NOT_NEWLINE = re.compile(r"[^\n]")
_VISIBLE = re.compile(r"\S")
_DOC_MARGIN = re.compile(r"^[ \t]*\*?[ \t]?", re.MULTILINE)

_STAND_IN = "0"
"""Put where a string does not end: the parser goes on with a value instead of complaining a second time."""


@dataclass(frozen=True, slots=True)
class Scan:
    """A text ready to be parsed.

    `code` has blanks for comments, `bare` also for strings. `docs` maps the offset of a declaration to its doc comment.
    `comments` are the offsets of each comment's start and end.
    """

    code: str
    bare: str
    docs: Mapping[int, str]
    comments: tuple[tuple[int, int], ...]
    problems: tuple[Diagnostic, ...]


def scan(source: SourceText) -> Scan:
    """Scan a whole text; never fails."""
    scanner = _Scanner(source)
    scanner.run()
    code = "".join(scanner.code)
    return Scan(
        code, "".join(scanner.bare), _attach(scanner.docs, code), tuple(scanner.comments), tuple(scanner.problems)
    )


@cache
def _pattern(terminal: str) -> re.Pattern[str]:
    return re.compile(terminal_pattern(terminal))


@dataclass
class _Scanner:
    source: SourceText
    code: list[str] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    docs: list[tuple[int, str]] = field(default_factory=list)
    """The offset behind each doc comment, and its words."""
    comments: list[tuple[int, int]] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    position: int = 0

    def run(self) -> None:
        text = self.source.text
        while opening := _OPENING.search(text, self.position):
            self._keep(opening.start())
            match opening[0]:
                case '"':
                    self._string()
                case "//":
                    self._line_comment()
                case _:
                    self._block_comment()
        self._keep(len(text))

    def _string(self) -> None:
        text = self.source.text
        raw = text.startswith('"""', self.position)
        if match := _pattern("RAW_STRING" if raw else "STRING").match(text, self.position):
            self._emit(match.end(), code=match[0])
            return
        end = len(text) if raw else _line_end(text, self.position)
        closing = '`"""`' if raw else '`}` and `"`' if "${" in text[self.position : end] else '`"`'
        self._problem("unterminated-string", f"the string that starts here does not end; close it with {closing}")
        self._emit(end, code=_STAND_IN + _blank(text[self.position + 1 : end]))

    def _line_comment(self) -> None:
        text = self.source.text
        end = _line_end(text, self.position)
        words = text[self.position : end]
        self.comments.append((self.position, end))
        if words.startswith("///") and not words.startswith("////"):
            self.docs.append((end, words[3:].strip()))
        self._emit(end, code=_blank(words))

    def _block_comment(self) -> None:
        text = self.source.text
        end = _comment_end(text, self.position)
        if end is None:
            self._problem("unterminated-comment", "the comment that starts here does not end; close it with `*/`")
            end = len(text)
        words = text[self.position : end]
        self.comments.append((self.position, end))
        if words.startswith("/**") and not words.startswith("/**/"):
            self.docs.append((end, _DOC_MARGIN.sub("", words[3:-2]).strip()))
        self._emit(end, code=_blank(words))

    def _keep(self, end: int) -> None:
        piece = self.source.text[self.position : end]
        self.code.append(piece)
        self.bare.append(piece)
        self.position = end

    def _emit(self, end: int, *, code: str) -> None:
        self.code.append(code)
        self.bare.append(_blank(code))
        self.position = end

    def _problem(self, code: str, message: str) -> None:
        self.problems.append(parse_error(code, message, self.source.place(self.position)))


def _line_end(text: str, position: int) -> int:
    match = _LINE_REST.match(text, position)
    assert match is not None
    return match.end()


def _comment_end(text: str, position: int) -> int | None:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return None


def _blank(text: str) -> str:
    return _NOT_NEWLINE.sub(" ", text)


def _attach(docs: list[tuple[int, str]], code: str) -> dict[int, str]:
    """Give each doc comment to the declaration behind it. Backwards, so that each blank is looked at once."""
    attached: dict[int, str] = {}
    bound, target = len(code), None
    for end, words in reversed(docs):
        visible = _VISIBLE.search(code, end, bound)
        target, bound = (visible.start() if visible else target), end
        if target is not None:
            attached[target] = f"{words}\n{attached[target]}" if target in attached else words
    return attached
