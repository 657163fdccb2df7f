"""One endpoint is one description: the route that serves it and its part of the OpenAPI document are made from it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge_server.domain.names import DEFAULT_NAMESPACE, NAME_RULE, is_name
from bloge_server.http.gateway.replies import Reply

BASE = "/api/v1"
NAMESPACE_HEADER = "X-Namespace"
_SHOWN_CHARS = 80

_Model = TypeVar("_Model", bound=BaseModel)


class Call(NamedTuple):
    """One request, checked."""

    namespace: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    now_ms: int
    """When it came, ms since 1970."""
    body: Any = None
    """An instance of the endpoint's body, if it has one."""
    query: Any = None
    """An instance of the endpoint's query, if it has one."""


class Answer(NamedTuple):
    """What is answered: one of the endpoint's replies."""

    status: int
    value: Reply | list[Reply] | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Endpoint:
    """A method on a path."""

    method: str
    path: str
    """Below `BASE`, with its parameters in braces."""
    tag: str
    handle: Callable[[Call], Awaitable[Answer]]
    """Its docstring is the description."""
    replies: Mapping[int, Any]
    """What each status answers: a model, a list of one, or None."""
    problems: tuple[int, ...] = ()
    """Further statuses beside 400, 404 and 503, each with a `Problem`."""
    body: type[BaseModel] | None = None
    body_required: bool = True
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Optional headers, and what they say."""

    def route(self) -> Route:
        """Return what serves it."""
        return Route(BASE + self.path, self._serve, methods=[self.method])

    async def _serve(self, request: Request) -> Response:
        call = Call(
            namespace=namespace_of(request),
            path=request.path_params,
            headers=request.headers,
            now_ms=int(request.app.state.clock() * 1000),
            body=await self._body(request),
            query=None if self.query is None else validated(self.query, dict(request.query_params)),
        )
        status, value, headers = await self._answer(call)
        if value is None:
            return Response(status_code=status, headers=headers)
        return JSONResponse(_dumped(value), status, headers)

    async def _answer(self, call: Call) -> Answer:
        try:
            return await self.handle(call)
        except RemoteWorkersError as error:
            error.fields = [FieldViolation(_in_json(each.field), each.description) for each in error.fields]
            raise

    async def _body(self, request: Request) -> BaseModel | None:
        if self.body is None:
            return None
        raw = await request.body()
        if not raw and not self.body_required:
            return self.body()
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "the body must be JSON; say so with the header Content-Type: application/json")
        try:
            value = from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise _invalid([FieldViolation("body", f"is not JSON: {error}")]) from error
        return validated(self.body, value)


def _in_json(path: str) -> str:
    """Return a field's path as the request has it: `items[0].worker_topic` of the wire is `workerTopic` here."""
    return to_camel(re.sub(r"^(items|reports)\[0\]\.", "", path))


def namespace_of(request: Request) -> str:
    """Return the namespace that a request is about.

    Raises:
        RemoteWorkersError: INVALID_FIELD.
    """
    name = request.headers.get(NAMESPACE_HEADER, DEFAULT_NAMESPACE)
    if not is_name(name):
        raise _invalid([FieldViolation(NAMESPACE_HEADER, f"must be {NAME_RULE}, got {name[:_SHOWN_CHARS]!r}")])
    return name


def validated(model: type[_Model], value: object) -> _Model:
    """Return a value as its model has it.

    Raises:
        RemoteWorkersError: INVALID_FIELD with every field that is wrong, and how to mend it.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        violations = [
            FieldViolation(".".join(map(str, each["loc"])) or "body", _told(each["type"], each["msg"], each["input"]))
            for each in problems
        ]
        raise _invalid(violations) from error


_TOLD = {
    "missing": "is required",
    "extra_forbidden": "is not known here; is it misspelt?",
    "model_type": "must be a JSON object",
}
"""What is said instead of pydantic's own words."""


def _told(kind: str, message: str, given: object) -> str:
    return _TOLD.get(kind) or f"{message.removeprefix('Value error, ')}, got {str(given)[:_SHOWN_CHARS]!r}"


def _invalid(violations: list[FieldViolation]) -> RemoteWorkersError:
    return RemoteWorkersError(Reason.INVALID_FIELD, f"{len(violations)} field(s) are not valid", fields=violations)


def _dumped(value: Reply | list[Reply]) -> object:
    if isinstance(value, list):
        return [each.model_dump(by_alias=True) for each in value]
    return value.model_dump(by_alias=True)
