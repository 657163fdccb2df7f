"""Checks what callers pass."""

import re
from collections.abc import Mapping

from bloge_orchestrator.errors import InvalidExecutionError
from bloge_orchestrator.execution.values import NotJsonError, encoded, plain_copy
from bloge_orchestrator.operators import Json

_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BUSINESS_KEY_LENGTH = 256


def check_name(field: str, name: str) -> None:
    """Check a name.

    Raises:
        InvalidExecutionError: If it is not one.

    """
    if not _NAME.fullmatch(name):
        raise InvalidExecutionError(f"{field}: {name!r} is not a name; 1 to 128 letters, digits, `.`, `_` and `-`")


def check_business_key(business_key: str) -> None:
    """Check a business key.

    Raises:
        InvalidExecutionError: If it is too long.

    """
    if len(business_key) > _BUSINESS_KEY_LENGTH:
        raise InvalidExecutionError(f"business_key: has {len(business_key)} characters, {_BUSINESS_KEY_LENGTH} fit")


def encoded_input(given: Mapping[str, Json] | None) -> bytes:
    """Encode the input of an execution.

    Raises:
        InvalidExecutionError: If it is not a plain JSON object.

    """
    try:
        plain = plain_copy({} if given is None else given)
    except NotJsonError as error:
        raise InvalidExecutionError(f"input: is not plain JSON: {error}") from error
    if not isinstance(plain, dict):
        raise InvalidExecutionError(f"input: must be an object of fields, found {type(given).__name__}")
    return encoded(plain)
