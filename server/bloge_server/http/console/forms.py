"""What people fill in: forms that were sent, and the filters of lists."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.domain.names import NAME_RULE, is_name
from bloge_server.http.console.security import FIELD, Visitor

_MOST_FIELDS = 2_000
_MAX_RATE = 10_000
_FORM = "application/x-www-form-urlencoded"


class Form:
    """A form that was sent from a page of this console.

    Args:
        pairs: its fields, in order.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def text(self, name: str) -> str:
        """Return a field without the blanks around it; empty if it is not there."""
        return next((value.strip() for key, value in self._pairs if key == name), "")

    def texts(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value for key, value in self._pairs if key == name]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every field with its value, in order."""
        return self._pairs

    def values(self) -> Mapping[str, str]:
        """Return the fields by name, the last of each."""
        return dict(self._pairs)

    def action(self) -> ops.Action:
        """Return who acts and why.

        Raises:
            RemoteWorkersError: INVALID_FIELD without a reason.
        """
        reason = self.text("reason")
        if not reason:
            raise invalid("reason", "is required: say why, for whoever reads the list of actions later")
        return ops.Action(actor=self.text("actor") or "console", reason=reason)

    def rate(self) -> int:
        """Return how many items a second are wanted; 0 for no limit.

        Raises:
            RemoteWorkersError: INVALID_FIELD.
        """
        text = self.text("rate") or "0"
        if not text.isdecimal() or int(text) > _MAX_RATE:
            raise invalid("rate", f"must be 1 to {_MAX_RATE} items a second, or empty for no limit, got {text[:20]!r}")
        return int(text)


async def posted(request: Request) -> Form:
    """Return a form, once it is certain that a page of this console sent it.

    Raises:
        HTTPException: 403 if it is not, 415 if it is no form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise HTTPException(415, f"a form is expected, as {_FORM}")
    try:
        body = (await request.body()).decode()
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(400, "the form cannot be read") from error
    form = Form(pairs)
    Visitor(request).check(form.text(FIELD))
    return form


def name_in(values: Mapping[str, str], field: str) -> str:
    """Return a name that a filter has; empty if it has none.

    Raises:
        RemoteWorkersError: INVALID_FIELD.
    """
    value = values.get(field, "").strip()
    if value and not is_name(value):
        raise invalid(field, f"must be {NAME_RULE}, got {value[:40]!r}")
    return value


def invalid(field: str, description: str) -> RemoteWorkersError:
    """Return the refusal of a field."""
    return RemoteWorkersError(
        Reason.INVALID_FIELD, f"{field} {description}", fields=(FieldViolation(field, description),)
    )
