"""Values that are known only when a graph runs: Python operators on them make the expressions of the language."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.expressions import (
    Binary,
    Call,
    Conditional,
    Expression,
    Index,
    Lambda,
    Member,
    Reference,
    Template,
    Unary,
    When,
)
from bloge_orchestrator.expressions.functions import FUNCTIONS
from bloge_orchestrator.expressions.static import literal
from bloge_orchestrator.operators import Json
from bloge_orchestrator.suggestions import did_you_mean


class Value:
    """The output of a node, the input of the graph, or what is computed from them.

    `value.field` and `value["field"]` read a field, `value[0]` an item. Arithmetic and comparisons are written as in
    Python; `&`, `|` and `~` are the language's `&&`, `||` and `!`.
    """

    __slots__ = ("_expression", "_safe")

    def __init__(self, expression: Expression, *, safe: bool = False) -> None:
        self._expression = expression
        self._safe = safe

    def __getattr__(self, name: str) -> "Value":
        if name.startswith("_"):
            raise AttributeError(f"{name} cannot be read this way; write value[{name!r}]")
        return Value(Member(self._expression, name, safe=self._safe))

    def __getitem__(self, key: Any) -> "Value":  # noqa: ANN401 - a position, a name or a value
        return Value(Index(self._expression, expression_of(key), safe=self._safe))

    # ---- operators ----

    def __add__(self, other: Any) -> "Value":  # noqa: ANN401 - any value that can stand in a graph
        return _binary("+", self, other)

    def __radd__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("+", other, self)

    def __sub__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("-", self, other)

    def __rsub__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("-", other, self)

    def __mul__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("*", self, other)

    def __rmul__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("*", other, self)

    def __truediv__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("/", self, other)

    def __rtruediv__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("/", other, self)

    def __mod__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("%", self, other)

    def __rmod__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("%", other, self)

    def __and__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("&&", self, other)

    def __or__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("||", self, other)

    def __eq__(self, other: object) -> "Value":  # type: ignore[override]  # compared when the graph runs
        return _binary("==", self, other)

    def __ne__(self, other: object) -> "Value":  # type: ignore[override]  # compared when the graph runs
        return _binary("!=", self, other)

    def __lt__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("<", self, other)

    def __le__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary("<=", self, other)

    def __gt__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary(">", self, other)

    def __ge__(self, other: Any) -> "Value":  # noqa: ANN401 - see above
        return _binary(">=", self, other)

    def __neg__(self) -> "Value":
        return Value(Unary("-", self._expression))

    def __invert__(self) -> "Value":
        return Value(Unary("!", self._expression))

    # ---- what Python would want to know now ----

    __hash__ = None  # type: ignore[assignment]  # equality is not known yet

    def __bool__(self) -> NoReturn:
        raise TypeError(f"whether this holds is {_LATER}; use `&`, `|`, `~`, flow.conditional or flow.branch")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"what is in this list is {_LATER}; use flow.foreach, or flow.fn.map and its like")

    def __len__(self) -> NoReturn:
        raise TypeError(f"how long this is is {_LATER}; use flow.fn.size")

    def __contains__(self, _: object) -> NoReturn:
        raise TypeError(f"what is in here is {_LATER}; use flow.fn.contains")

    def __str__(self) -> NoReturn:
        raise TypeError(f"the text of this is {_LATER}; use flow.text")


_LATER = "known only when the graph runs"


def expression_of(value: Any) -> Expression:  # noqa: ANN401 - any value that can stand in a graph
    """Give the expression of a value, also of one inside a list or a dict.

    Raises:
        TypeError: If the value cannot stand in a graph.

    """
    return literal(unwrapped(value))


def unwrapped(value: Any) -> Any:  # noqa: ANN401 - any value that can stand in a graph
    """Put the expressions of values in their places, also inside lists and dicts."""
    match value:
        case Value():
            return value._expression  # noqa: SLF001 - a value is asked for what it is made of here only
        case list() | tuple():
            return [unwrapped(item) for item in value]
        case dict():
            return {key: unwrapped(item) for key, item in value.items()}
        case _:
            return value


def _binary(operator: str, left: Any, right: Any) -> Value:  # noqa: ANN401 - any value that can stand in a graph
    return Value(Binary(operator, expression_of(left), expression_of(right)))


# ---- what has no operator in Python ----


def expr(text: str) -> Value:
    """Read an expression of the language, such as `load.output.items`.

    Raises:
        GraphInvalid: If the text is not an expression.

    """
    return Value(parse_expression(text))


def name(text: str) -> Value:
    """Give what a name stands for: a node that comes later, or a local of a transform."""
    return Value(Reference(text))


def maybe(value: Value) -> Value:
    """Let the next field or item be null if the value is null: `maybe(a.output).label` is `a.output?.label`."""
    return Value(unwrapped(value), safe=True)


def default(value: Any, otherwise: Any) -> Value:  # noqa: ANN401 - any value that can stand in a graph
    """Give the value unless it is null: `value ?? otherwise`."""
    return _binary("??", value, otherwise)


def conditional(test: Any, then: Any, otherwise: Any) -> Value:  # noqa: ANN401 - any value that can stand in a graph
    """Give one of two values: `test ? then : otherwise`."""
    return Value(Conditional(expression_of(test), expression_of(then), expression_of(otherwise)))


_NOTHING: Any = object()


def when(
    *subject: Any,  # noqa: ANN401 - any value that can stand in a graph
    arms: Iterable[tuple[Any, Any]],
    otherwise: Any = _NOTHING,  # noqa: ANN401 - see above
) -> Value:
    """Give the result of the first arm that fits: `when subject { value -> result ... otherwise -> result }`.

    Args:
        *subject: What the arms' values are compared with; nothing if they are conditions.
        arms: Pairs of a value and a result.
        otherwise: The result if no arm fits.

    Raises:
        TypeError: If there is more than one subject, or a value cannot stand in a graph.

    """
    if len(subject) > 1:
        raise TypeError("when takes one subject, or none")
    pairs = tuple((expression_of(value), expression_of(result)) for value, result in arms)
    last = None if otherwise is _NOTHING else expression_of(otherwise)
    return Value(When(expression_of(subject[0]) if subject else None, pairs, last))


def text(*parts: Any) -> Value:  # noqa: ANN401 - any value that can stand in a graph
    """Join texts and values: `"Hello ${ctx.name}"` is `text("Hello ", ctx.name)`."""
    pieces: list[str | Expression] = []
    for part in parts:
        piece = part if isinstance(part, str) else expression_of(part)
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        elif piece or not isinstance(piece, str):
            pieces.append(piece)
    if all(isinstance(piece, str) for piece in pieces):
        return Value(literal("".join(map(str, pieces))))
    return Value(Template(tuple(pieces)))


class Functions:
    """The built-in functions of the language as methods: `fn.size(items)`, `fn.map(items, lambda item: item.id)`."""

    def __getattr__(self, function: str) -> Callable[..., Value]:
        if function not in FUNCTIONS:
            raise AttributeError(f"there is no function {function}{did_you_mean(function, FUNCTIONS)}")

        def call(*arguments: Json) -> Value:
            return Value(Call(function, tuple(map(_argument, arguments))))

        return call


fn = Functions()


def _argument(value: Json) -> Expression | Lambda:
    """Give the expression of an argument; a Python function is run once, to see what it makes of its parameters."""
    if not inspect.isroutine(value):
        return expression_of(value)
    names = tuple(inspect.signature(value).parameters)
    return Lambda(names, expression_of(value(*map(name, names))))
