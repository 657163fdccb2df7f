"""Syntax errors in human words."""

import re
from typing import cast

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.language import language
from bloge_orchestrator.dsl.source import SourceText, parse_error
from bloge_orchestrator.suggestions import listed

_STARTS_OF_EXPRESSION = frozenset(
    {"NUMBER", "DURATION", "STRING", "RAW_STRING", "NAME", "LPAR", "LSQB", "NOT", "MINUS"}
)
_OPERATORS = frozenset(
    {"COALESCE", "OR", "AND", "EQUAL", "UNEQUAL", "COMPARISON", "PLUS", "MINUS", "STAR", "SLASH", "PERCENT"}
    | {"QMARK", "DOT", "SAFE_DOT", "INDEX", "SAFE_INDEX", "CALL"}
)
_OPERATORS_LISTED_MAX = 2
_KEYWORDS = frozenset(
    {"NODE", "TRANSFORM", "SCHEMA", "INPUT", "OUTPUT", "LET", "WHEN", "OTHERWISE", "TRUE", "FALSE", "NULL"}
)
"""Not listed where a name fits or an expression may start: they are the rare choice there."""
_WORDS = {
    "NAME": "a name",
    "STRING": "a string",
    "RAW_STRING": "a string",
    "NUMBER": "a number",
    "DURATION": "a duration",
    "CALL": "`(`",
    "INDEX": "`[`",
    "LAMBDA": "`(`",
    "COMPARISON": "`<`",
    "$END": "the end",
    "<END-OF-FILE>": "the end",
}
_NUMBER_LIKE = re.compile(r"[0-9][\w.]*")


def syntax_error(error: UnexpectedInput, source: SourceText, end: int, inside: str) -> Diagnostic:
    """Describe an error of the parser.

    Args:
        error: What the parser raised.
        source: The whole text.
        end: The offset at which the parsed part ends; an error there means that something is missing.
        inside: What was being read, such as "node load".

    """
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        place = source.place(_last_visible(source.text, end))
        return parse_error("syntax-error", _too_early(error, inside), place)
    offset = cast("int", error.pos_in_stream)  # declared None where it is first mentioned, set by every error
    return parse_error("syntax-error", _unexpected(error, source.text, offset), source.place(offset))


def _too_early(error: UnexpectedToken, inside: str) -> str:
    if "RBRACE" in _expected_terminals(error):
        return f"{inside} is not closed: a `}}` is missing"
    return f"{inside} ends too early: expected {_expected(error)}"


def _unexpected(error: UnexpectedInput, text: str, offset: int) -> str:
    number = _NUMBER_LIKE.match(text, offset)
    if number is not None and isinstance(error, UnexpectedCharacters):
        found = number[0][:40]
        return f"`{found}` is neither a number nor a duration; a duration is an integer followed by ms, s, m, h or d"
    found = str(error.token)[:40] if isinstance(error, UnexpectedToken) else text[offset : offset + 1]
    return f"unexpected {_quoted(found)}: expected {_expected(error)}{_hint(text, offset)}"


def _hint(text: str, offset: int) -> str:
    if text[offset] in "([" and text[offset - 1].isspace():
        return f"; a `{text[offset]}` that calls or indexes touches the name before it"
    return ""


def _quoted(found: str) -> str:
    if found.isprintable():
        return f"`{found}`"
    return "character " + " ".join(f"U+{ord(character):04X}" for character in found[:1])


def _expected(error: UnexpectedInput) -> str:
    names = _expected_terminals(error)
    words = []
    if names >= _STARTS_OF_EXPRESSION:
        words.append("an expression")
        names -= _STARTS_OF_EXPRESSION | _KEYWORDS | {"LBRACE", "LAMBDA"}
    if len(names & _OPERATORS) > _OPERATORS_LISTED_MAX:
        words.append("an operator")
        names -= _OPERATORS
    if "NAME" in names:
        names -= _KEYWORDS
    words += sorted({_word(name) for name in names})
    return listed(words) if words else "something else"


def _expected_terminals(error: UnexpectedInput) -> set[str]:
    if isinstance(error, UnexpectedToken):
        return set(error.accepts or error.expected)
    return set(error.allowed or ()) if isinstance(error, UnexpectedCharacters) else set()


def _word(terminal: str) -> str:
    if terminal in _WORDS:
        return _WORDS[terminal]
    return f"`{language().get_terminal(terminal).pattern.value}`"


def _last_visible(text: str, end: int) -> int:
    return max(len(text[:end].rstrip()) - 1, 0)
