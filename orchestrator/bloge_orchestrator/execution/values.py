"""Plain JSON at the border between an execution and the code of its users."""

import json

from bloge_orchestrator.operators import Json

MAX_OUTPUT_BYTES = 2 * 1024 * 1024
"""The largest output of a node, as JSON: with what surrounds it, it must fit one event of a journal."""


class NotJsonError(ValueError):
    """A value is not plain JSON."""


def plain_copy(value: Json) -> Json:
    """Copy a value as plain JSON, so that what a user's code does to its own does not reach the execution.

    Raises:
        NotJsonError: If it is not plain JSON.

    """
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error


def encoded(value: Json) -> bytes:
    """Write plain JSON as UTF-8, without blanks; text that UTF-8 cannot carry is escaped."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON allows in its escaped form
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
