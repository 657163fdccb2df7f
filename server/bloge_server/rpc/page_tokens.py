"""Page tokens of lists: what the caller hands back to read on."""

import base64

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError


def to_token(text: str) -> str:
    """Return the token that stands for a place in a list."""
    return base64.urlsafe_b64encode(text.encode()).decode()


def from_token(token: str) -> str:
    """Return the place that a token stands for; empty for the beginning.

    Raises:
        RemoteWorkersError: INVALID_FIELD.
    """
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise no_token() from error


def no_token() -> RemoteWorkersError:
    """Return the refusal of a token that no list gave."""
    violation = FieldViolation("page_token", "must be empty or from the previous page's reply")
    return RemoteWorkersError(Reason.INVALID_FIELD, "page_token is not one", fields=(violation,))
