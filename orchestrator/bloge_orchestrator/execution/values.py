"""Plain JSON at the border between an execution and the code of its users."""

import json

from bloge_orchestrator.operators import Json


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
