"""How a built-in function is declared: its name, its parameters' kinds, and what a call costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, TypeVar
from uuid import UUID

from bloge_orchestrator.expressions.values import Json, OperationError, described, is_number

IMPURE_FUNCTIONS = frozenset({"now", "uuid", "secret"})
"""Functions whose answer does not follow from their arguments; a transform may not call them."""


class Environment(Protocol):
    """What impure functions draw on."""

    def now(self) -> datetime:
        """Give the current instant, with its time zone."""

    def new_uuid(self) -> UUID:
        """Give a fresh random UUID."""

    def secret(self, name: str) -> str:
        """Give the value of a secret."""


@dataclass(frozen=True, slots=True)
class LambdaValue:
    """A lambda together with the names around it: calling it evaluates its body."""

    parameters: int
    call: Callable[..., Json]

    def __call__(self, *arguments: Json) -> Json:
        """Evaluate the body with as many of the arguments as the lambda has parameters for."""
        return self.call(*arguments[: self.parameters])


class Cost(Enum):
    """What a call is charged for, besides the call itself."""

    CONSTANT = "nothing: it looks at no more than a few values"
    SHALLOW = "the length of its arguments and all that its result holds"
    DEEP = "all that its arguments and its result hold"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: the kinds of value it takes, and whether it may be left out or repeated."""

    kinds: tuple[str, ...]
    optional: bool = False
    repeated: bool = False

    @classmethod
    def parse(cls, declaration: str) -> "Parameter":
        """Read `text`, `text|list`, `integer?` or `any*`."""
        kinds = tuple(declaration.rstrip("?*").split("|"))
        return cls(kinds, optional=declaration[-1] in "?*", repeated=declaration.endswith("*"))

    def accepts(self, value: Json | LambdaValue) -> bool:
        """Tell whether a value is of one of the kinds."""
        return any(_KINDS[kind](value) for kind in self.kinds)

    @property
    def described(self) -> str:
        """The kinds in words."""
        return " or ".join(_KIND_WORDS[kind] for kind in self.kinds)


@dataclass(frozen=True, slots=True)
class Function:
    """A built-in function. `implementation` may trust its arguments' number and kinds; it changes none of them."""

    name: str
    parameters: tuple[Parameter, ...]
    implementation: Callable[..., Json]
    cost: Cost
    takes_environment: bool = False

    @property
    def arguments_min(self) -> int:
        """How many arguments a call needs."""
        return sum(not parameter.optional for parameter in self.parameters)

    @property
    def arguments_max(self) -> int | None:
        """How many arguments a call may have; None if any number."""
        return None if self.parameters and self.parameters[-1].repeated else len(self.parameters)

    def wrong_count(self, count: int) -> str | None:
        """Say what is wrong with a number of arguments, or answer None."""
        low, high = self.arguments_min, self.arguments_max
        if count >= low and (high is None or count <= high):
            return None
        wanted = f"at least {low}" if high is None else f"{low}" if low == high else f"{low} to {high}"
        return f"{self.name} takes {wanted} {'argument' if wanted == '1' else 'arguments'}, got {count}"

    def parameter(self, position: int) -> Parameter:
        """Give the parameter of the argument at a position from 0."""
        return self.parameters[min(position, len(self.parameters) - 1)]

    def check(self, arguments: Sequence[Json | LambdaValue]) -> None:
        """Check the arguments.

        Raises:
            OperationError: If their number or the kind of one is wrong.

        """
        if wrong := self.wrong_count(len(arguments)):
            raise OperationError(wrong)
        for position, argument in enumerate(arguments):
            parameter = self.parameter(position)
            if not parameter.accepts(argument):
                got = "a lambda" if isinstance(argument, LambdaValue) else described(argument)
                raise OperationError(f"{self.name}: argument {position + 1} must be {parameter.described}, got {got}")


FunctionTable = dict[str, Function]
_Implementation = TypeVar("_Implementation", bound=Callable[..., Any])


def declare(
    table: FunctionTable, name: str, parameters: str = "", cost: Cost = Cost.SHALLOW, *, environment: bool = False
) -> Callable[[_Implementation], _Implementation]:
    """Enter the decorated function into a table.

    Args:
        table: The table of the module.
        name: The name in expressions.
        parameters: The kinds of the parameters, separated by blanks.
        cost: What a call is charged for.
        environment: Whether the implementation takes the environment as its first argument.

    """

    def enter(implementation: _Implementation) -> _Implementation:
        declared = tuple(Parameter.parse(parameter) for parameter in parameters.split())
        table[name] = Function(name, declared, implementation, cost, environment)
        return implementation

    return enter


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: not isinstance(value, LambdaValue),
    "text": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": _is_integer,
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
    "lambda": lambda value: isinstance(value, LambdaValue),
}
_KIND_WORDS = {
    "any": "a value",
    "text": "a string",
    "number": "a number",
    "integer": "an integer",
    "list": "a list",
    "object": "an object",
    "null": "null",
    "lambda": "a lambda such as `x -> x`",
}
