"""Date functions. An instant is an ISO 8601 string in UTC with milliseconds; a length of time is in milliseconds."""

from datetime import UTC, datetime, timedelta

from bloge_orchestrator.durations import from_milliseconds, to_milliseconds
from bloge_orchestrator.expressions.functions.signature import Cost, Environment, FunctionTable, declare
from bloge_orchestrator.expressions.values import OperationError

FUNCTIONS: FunctionTable = {}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATTERN_PARTS = ("yyyy", "MM", "dd", "HH", "mm", "ss", "SSS")


@declare(FUNCTIONS, "now", "", Cost.CONSTANT, environment=True)
def _now(environment: Environment) -> str:
    return _written(environment.now())


@declare(FUNCTIONS, "parseDate", "text", Cost.CONSTANT)
def _parse_date(text: str) -> str:
    return _written(_read("parseDate", text))


@declare(FUNCTIONS, "dateAdd", "text integer", Cost.CONSTANT)
def _date_add(text: str, milliseconds: int) -> str:
    return _written(_shifted("dateAdd", _read("dateAdd", text), milliseconds))


@declare(FUNCTIONS, "dateDiff", "text text", Cost.CONSTANT)
def _date_diff(later: str, earlier: str) -> int:
    return to_milliseconds(_read("dateDiff", later) - _read("dateDiff", earlier))


@declare(FUNCTIONS, "toMillis", "text", Cost.CONSTANT)
def _to_millis(text: str) -> int:
    return to_milliseconds(_read("toMillis", text) - _EPOCH)


@declare(FUNCTIONS, "fromMillis", "integer", Cost.CONSTANT)
def _from_millis(milliseconds: int) -> str:
    return _written(_shifted("fromMillis", _EPOCH, milliseconds))


@declare(FUNCTIONS, "formatDate", "text text")
def _format_date(text: str, pattern: str) -> str:
    """Replace yyyy, MM, dd, HH, mm, ss and SSS; everything else in the pattern stays."""
    instant = _read("formatDate", text)
    numbers = (instant.year, instant.month, instant.day, instant.hour, instant.minute, instant.second)
    for part, number in zip(_PATTERN_PARTS, (*numbers, instant.microsecond // 1_000), strict=True):
        pattern = pattern.replace(part, str(number).zfill(len(part)))
    return pattern


def _read(name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise OperationError(f'{name}: "{text[:40]}" is not an ISO 8601 date such as 2030-01-31T12:00:00Z') from error


def _shifted(name: str, instant: datetime, milliseconds: int) -> datetime:
    try:
        shift: timedelta = from_milliseconds(milliseconds)
        return instant + shift
    except OverflowError as error:
        raise OperationError(f"{name}: the date is out of range") from error


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
