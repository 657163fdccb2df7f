"""The syntax tree of an expression: immutable nodes that know where they stand in the source.

Two expressions are equal if they mean the same, wherever they stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Located:
    line: int | None = field(default=None, compare=False, repr=False)
    column: int | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Literal(_Located):
    """null, a boolean, a number or a plain string."""

    value: Scalar

    def __eq__(self, other: object) -> bool:
        # Python holds 1, 1.0 and True for equal; a graph must not.
        return isinstance(other, Literal) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[type, str]:
        return type(self.value), repr(self.value)


@dataclass(frozen=True, slots=True)
class Duration(_Located):
    """A duration such as `5m`; its value in an expression is a number of milliseconds."""

    value: timedelta


@dataclass(frozen=True, slots=True)
class Template(_Located):
    """A string with `${expression}` parts; the parts are texts and expressions in order."""

    parts: "tuple[str | Expression, ...]"


@dataclass(frozen=True, slots=True)
class Array(_Located):
    """`[a, b]`."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Object(_Located):
    """`{ a: 1, "b c": 2 }`; a repeated key takes the last value."""

    entries: "tuple[tuple[str, Expression], ...]"
    key_places: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)
    """Line and column of each key; empty if the object was built in Python."""


@dataclass(frozen=True, slots=True)
class Reference(_Located):
    """A bare name: `ctx`, a node, a local of a transform, or a lambda's parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(_Located):
    """`target.name`, or `target?.name`, which is null if the target is null."""

    target: "Expression"
    name: str
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Index(_Located):
    """`target[index]`, or `target?[index]`, which is null if the target is null or the index out of range."""

    target: "Expression"
    index: "Expression"
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Unary(_Located):
    """`-operand` or `!operand`."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary(_Located):
    """An operator with two operands; `&&`, `||` and `??` evaluate the right one only if they need it."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Conditional(_Located):
    """`test ? then : otherwise`."""

    test: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class When(_Located):
    """`when subject { value -> result ... otherwise -> result }`; without a subject each arm holds a condition."""

    subject: "Expression | None"
    arms: "tuple[tuple[Expression, Expression], ...]"
    otherwise: "Expression | None"


@dataclass(frozen=True, slots=True)
class Lambda(_Located):
    """`x -> body` or `(a, b) -> body`, as the argument of a function."""

    parameters: tuple[str, ...]
    body: "Expression"


@dataclass(frozen=True, slots=True)
class Call(_Located):
    """`function(argument, ...)`."""

    function: str
    arguments: "tuple[Expression | Lambda, ...]"


Expression: TypeAlias = (
    Literal
    | Duration
    | Template
    | Array
    | Object
    | Reference
    | Member
    | Index
    | Unary
    | Binary
    | Conditional
    | When
    | Call
)


def children(expression: Expression | Lambda) -> Iterator[Expression | Lambda]:
    """Give the parts of an expression in the order of the source."""
    match expression:
        case Literal() | Duration() | Reference():
            return
        case Template(parts):
            yield from (part for part in parts if not isinstance(part, str))
        case Array(items):
            yield from items
        case Object(entries):
            yield from (value for _, value in entries)
        case Call(_, arguments):
            yield from arguments
        case When():
            yield from _parts_of_when(expression)
        case _:
            yield from _operands(expression)


def _operands(expression: Member | Index | Unary | Binary | Conditional | Lambda) -> "tuple[Expression, ...]":
    match expression:
        case Member(target) | Unary(_, target) | Lambda(_, target):
            return (target,)
        case Index(target, index):
            return target, index
        case Binary(_, left, right):
            return left, right
        case Conditional(test, then, otherwise):
            return test, then, otherwise


def _parts_of_when(expression: When) -> Iterator[Expression]:
    if expression.subject is not None:
        yield expression.subject
    for arm in expression.arms:
        yield from arm
    if expression.otherwise is not None:
        yield expression.otherwise
