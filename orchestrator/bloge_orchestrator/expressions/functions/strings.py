"""String functions. They work on literal text: patterns that could take for ever to match are not offered."""

from bloge_orchestrator.expressions.functions.signature import FunctionTable, declare
from bloge_orchestrator.expressions.values import STRING_LENGTH_MAX, Json, OperationError, shown, text

FUNCTIONS: FunctionTable = {}


@declare(FUNCTIONS, "upper", "text")
def _upper(value: str) -> str:
    return value.upper()


@declare(FUNCTIONS, "lower", "text")
def _lower(value: str) -> str:
    return value.lower()


@declare(FUNCTIONS, "trim", "text")
def _trim(value: str) -> str:
    return value.strip()


@declare(FUNCTIONS, "capitalize", "text")
def _capitalize(value: str) -> str:
    return value[:1].upper() + value[1:]


@declare(FUNCTIONS, "startsWith", "text text")
def _starts_with(value: str, prefix: str) -> bool:
    return value.startswith(prefix)


@declare(FUNCTIONS, "endsWith", "text text")
def _ends_with(value: str, suffix: str) -> bool:
    return value.endswith(suffix)


@declare(FUNCTIONS, "substring", "text integer integer?")
def _substring(value: str, start: int, end: int | None = None) -> str:
    return value[max(start, 0) : None if end is None else max(end, 0)]


@declare(FUNCTIONS, "replace", "text text text")
def _replace(value: str, old: str, new: str) -> str:
    if not old:
        raise OperationError("replace: the text to replace is empty")
    _bounded(len(value) + value.count(old) * len(new))
    return value.replace(old, new)


@declare(FUNCTIONS, "split", "text text")
def _split(value: str, separator: str) -> list[str]:
    return value.split(separator) if separator else list(value)


@declare(FUNCTIONS, "join", "list text?")
def _join(items: list[Json], separator: str = ",") -> str:
    _bounded(len(items) * len(separator))
    pieces = [text(shown(item)) for item in items]
    _bounded(sum(map(len, pieces)))
    return separator.join(pieces)


@declare(FUNCTIONS, "repeat", "text integer")
def _repeat(value: str, count: int) -> str:
    _bounded(len(value) * max(count, 0))
    return value * min(count, STRING_LENGTH_MAX)


@declare(FUNCTIONS, "padStart", "text integer text?")
def _pad_start(value: str, width: int, fill: str = " ") -> str:
    return _padding(value, width, fill) + value


@declare(FUNCTIONS, "padEnd", "text integer text?")
def _pad_end(value: str, width: int, fill: str = " ") -> str:
    return value + _padding(value, width, fill)


def _padding(value: str, width: int, fill: str) -> str:
    _bounded(width)
    missing = max(width - len(value), 0)
    return (fill * missing)[:missing] if len(fill) <= 1 else (fill * (missing // len(fill) + 1))[:missing]


def _bounded(length: int) -> None:
    if length > STRING_LENGTH_MAX:
        raise OperationError(f"makes a string of {length} characters; at most {STRING_LENGTH_MAX} are allowed")
