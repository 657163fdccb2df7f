# ruff: noqa: D102 - each method is named after the grammar rule it reads, which documents it
"""From the parser's tree to expressions."""

from collections.abc import Callable
from typing import Any

from lark import Token, Transformer, v_args
from lark.tree import Meta

from bloge_orchestrator.diagnostics import Diagnostic
from bloge_orchestrator.dsl.source import Place, SourceText, parse_error
from bloge_orchestrator.dsl.strings import Hole, StringLiteralError, read_string
from bloge_orchestrator.durations import DurationError, parse_duration
from bloge_orchestrator.expressions import (
    Array,
    Binary,
    Call,
    Conditional,
    Duration,
    Expression,
    Index,
    Lambda,
    Literal,
    Member,
    Object,
    Reference,
    Template,
    Unary,
    When,
)
from bloge_orchestrator.expressions.values import INTEGER_MAX, Json

_SHOWN_MAX = 40

ParseHole = Callable[[int, int], Expression]
"""Parses the expression between two offsets of the source."""


@v_args(inline=True, meta=True)
class ExpressionBuilder(Transformer[Token, Any]):
    """Has one method for each rule of the expression grammar. What is wrong goes to `problems`; a stand-in goes on."""

    def __init__(self, source: SourceText, parse_hole: ParseHole, problems: list[Diagnostic]) -> None:
        super().__init__()
        self._problems = problems
        self._source = source
        self._parse_hole = parse_hole

    # ---- values ----

    def number(self, meta: Meta, text: Token) -> Literal:
        value = float(text) if any(mark in text for mark in ".eE") else _bounded_integer(text)
        if value is None or abs(value) == float("inf"):
            self._problem("invalid-number", f"`{_shortened(text)}` is too large for a number", _place(meta))
            value = 0
        return Literal(value, line=meta.line, column=meta.column)

    def duration(self, meta: Meta, text: Token) -> Expression:
        try:
            return Duration(parse_duration(text), line=meta.line, column=meta.column)
        except DurationError as error:
            self._problem("invalid-duration", str(error), _place(meta))
            return Literal(None, line=meta.line, column=meta.column)

    def true(self, meta: Meta, _: Token) -> Literal:
        return Literal(value=True, line=meta.line, column=meta.column)

    def false(self, meta: Meta, _: Token) -> Literal:
        return Literal(value=False, line=meta.line, column=meta.column)

    def null(self, meta: Meta, _: Token) -> Literal:
        return Literal(None, line=meta.line, column=meta.column)

    def raw_string(self, meta: Meta, text: Token) -> Literal:
        return Literal(str(text[3:-3]), line=meta.line, column=meta.column)

    def string(self, meta: Meta, text: Token) -> Expression:
        parts = tuple(self._part(piece, meta.start_pos + 1) for piece in self._pieces(text, meta.start_pos + 1))
        if all(isinstance(part, str) for part in parts):
            return Literal("".join(map(str, parts)), line=meta.line, column=meta.column)
        return Template(parts, line=meta.line, column=meta.column)

    def array(self, meta: Meta, *items: Expression | None) -> Array:
        return Array(_present(items), line=meta.line, column=meta.column)

    def pair(self, meta: Meta, key: Token, value: Expression) -> tuple[str, Expression, tuple[int, int]]:
        return self.key(key), value, (meta.line, meta.column)

    def object(self, meta: Meta, *pairs: tuple[str, Expression, tuple[int, int]]) -> Object:
        entries = tuple((key, value) for key, value, _ in pairs)
        places = tuple(place for _, _, place in pairs)
        return Object(entries, places, line=meta.line, column=meta.column)

    def key(self, token: Token) -> str:
        """Give the text of a key or a name that may be quoted; a quoted one has no `${}` parts."""
        if token.type != "STRING":
            return str(token)
        assert token.start_pos is not None
        pieces = self._pieces(token, token.start_pos + 1)
        if any(isinstance(piece, Hole) for piece in pieces):
            self._problem("syntax-error", "a `${}` part cannot stand here; write plain text", _place(token))
        return "".join(piece for piece in pieces if isinstance(piece, str))

    # ---- paths and calls ----

    def reference(self, meta: Meta, name: Token) -> Reference:
        return Reference(str(name), line=meta.line, column=meta.column)

    def member(self, meta: Meta, target: Expression, name: Token) -> Member:
        return Member(target, str(name), line=meta.line, column=meta.column)

    def safe_member(self, meta: Meta, target: Expression, _: Token, name: Token) -> Member:
        return Member(target, str(name), safe=True, line=meta.line, column=meta.column)

    def index(self, meta: Meta, target: Expression, _: Token, index: Expression) -> Index:
        return Index(target, index, line=meta.line, column=meta.column)

    def safe_index(self, meta: Meta, target: Expression, _: Token, index: Expression) -> Index:
        return Index(target, index, safe=True, line=meta.line, column=meta.column)

    def call(self, meta: Meta, name: Token, _: Token, *arguments: Expression | Lambda | None) -> Call:
        return Call(str(name), _present(arguments), line=meta.line, column=meta.column)

    def lambda_expression(self, meta: Meta, *parts: Token | Expression) -> Lambda:
        names = tuple(str(part) for part in parts if isinstance(part, Token) and part.type == "NAME")
        body = parts[-1]
        assert not isinstance(body, Token)
        return Lambda(names, body, line=meta.line, column=meta.column)

    # ---- operators ----

    def unary(self, meta: Meta, operator: Token, operand: Expression) -> Expression:
        number = operand.value if isinstance(operand, Literal) else None
        if operator == "-" and isinstance(number, int | float) and not isinstance(number, bool):
            return Literal(-number, line=meta.line, column=meta.column)
        return Unary(str(operator), operand, line=meta.line, column=meta.column)

    def binary(self, meta: Meta, left: Expression, operator: Token, right: Expression) -> Binary:
        return Binary(str(operator), left, right, line=meta.line, column=meta.column)

    def conditional(self, meta: Meta, test: Expression, then: Expression, otherwise: Expression) -> Conditional:
        return Conditional(test, then, otherwise, line=meta.line, column=meta.column)

    def arm(self, _: Meta, value: Expression, _arrow: Token, result: Expression) -> tuple[Expression, Expression]:
        return value, result

    def otherwise(self, _: Meta, _word: Token, _arrow: Token, result: Expression) -> Expression:
        return result

    def when(self, meta: Meta, _: Token, subject: Expression | None, *rest: Json) -> When:
        *arms, otherwise = rest
        return When(subject, tuple(arms), otherwise, line=meta.line, column=meta.column)

    # ---- strings and problems ----

    def _pieces(self, text: Token, start: int) -> list[str | Hole]:
        try:
            return read_string(text[1:-1])
        except StringLiteralError as error:
            self._problem("invalid-escape", str(error), self._source.place(start + error.offset))
            return []

    def _part(self, piece: str | Hole, start: int) -> str | Expression:
        return piece if isinstance(piece, str) else self._parse_hole(start + piece.start, start + piece.end)

    def _problem(self, code: str, message: str, place: Place) -> None:
        self._problems.append(parse_error(code, message, place))


def _place(where: Meta | Token) -> Place:
    assert where.line is not None
    assert where.column is not None
    return Place(where.line, where.column)


def _present(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(part for part in parts if part is not None)


def _bounded_integer(text: str) -> int | None:
    if len(text.lstrip("0")) > len(str(INTEGER_MAX)):
        return None
    value = int(text)
    return value if value <= INTEGER_MAX else None


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."
