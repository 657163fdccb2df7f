"""The canonical text of an expression: parsing it gives an equal expression back."""

import json
import re

from bloge_orchestrator.durations import format_duration
from bloge_orchestrator.expressions.tree import (
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
    Scalar,
    Template,
    Unary,
    When,
)

_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")

_LEVELS = {
    "??": 1,
    "||": 2,
    "&&": 3,
    "==": 4,
    "!=": 4,
    "<": 5,
    "<=": 5,
    ">": 5,
    ">=": 5,
    "+": 6,
    "-": 6,
    "*": 7,
    "/": 7,
    "%": 7,
}
_CONDITIONAL, _SIGNED, _POSTFIX = 0, 8, 9
"""How tight the other forms bind; operators lie between."""


def format_expression(expression: Expression | Lambda) -> str:
    """Write an expression on one line, with no more parentheses than its meaning needs."""
    match expression:
        case Literal(value):
            return _literal(value)
        case Duration(value):
            return format_duration(value)
        case Template(parts):
            return _quoted("".join(_escaped(part) if isinstance(part, str) else _hole(part) for part in parts))
        case Reference(name):
            return name
        case Array() | Object() | When() | Lambda() | Call():
            return _bracketed(expression)
        case _:
            return _operation(expression)


def _bracketed(expression: Array | Object | When | Lambda | Call) -> str:
    match expression:
        case Array(items):
            return f"[{_listed(items)}]"
        case Object(entries):
            pairs = ", ".join(f"{_key(key)}: {format_expression(value)}" for key, value in entries)
            return f"{{{pairs}}}"
        case Call(function, arguments):
            return f"{function}({_listed(arguments)})"
        case Lambda(parameters, body):
            return f"({', '.join(parameters)}) -> {format_expression(body)}"
        case When():
            return _when(expression)


def _operation(expression: Member | Index | Unary | Binary | Conditional) -> str:
    match expression:
        case Member(target, name, safe):
            return f"{_bound(target, _POSTFIX)}{'?.' if safe else '.'}{name}"
        case Index(target, index, safe):
            return f"{_bound(target, _POSTFIX)}{'?[' if safe else '['}{format_expression(index)}]"
        case Unary(operator, operand):
            return f"{operator}{_bound(operand, _SIGNED)}"
        case Binary(operator, left, right):
            level = _LEVELS[operator]
            return f"{_bound(left, level)} {operator} {_bound(right, level + 1)}"
        case Conditional(test, then, otherwise):
            return f"{_bound(test, _CONDITIONAL + 1)} ? {format_expression(then)} : {format_expression(otherwise)}"


def _when(when: When) -> str:
    subject = "" if when.subject is None else f"{_bound(when.subject, _POSTFIX)} "
    arms = [f"{format_expression(value)} -> {format_expression(result)}" for value, result in when.arms]
    if when.otherwise is not None:
        arms.append(f"otherwise -> {format_expression(when.otherwise)}")
    return f"when {subject}{{ {', '.join(arms)} }}"


def _bound(expression: Expression, level: int) -> str:
    """Write an operand, in parentheses if it binds more loosely than its place needs."""
    written = format_expression(expression)
    return written if _level(expression) >= level else f"({written})"


def _level(expression: Expression) -> int:
    match expression:
        case Conditional():
            return _CONDITIONAL
        case Binary(operator):
            return _LEVELS[operator]
        case Unary() | Object():
            return _SIGNED
        case Literal(value) if isinstance(value, int | float) and str(value).startswith("-"):
            return _SIGNED
        case _:
            return _POSTFIX


def _key(key: str) -> str:
    return key if _NAME.fullmatch(key) else _quoted(_escaped(key))


def _literal(value: Scalar) -> str:
    if isinstance(value, str):
        return _quoted(_escaped(value))
    return json.dumps(value, allow_nan=False)


def _listed(items: tuple[Expression | Lambda, ...]) -> str:
    return ", ".join(map(format_expression, items))


def _hole(expression: Expression) -> str:
    return f"${{{format_expression(expression)}}}"


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("$", "\\$")


def _quoted(text: str) -> str:
    return f'"{text}"'
