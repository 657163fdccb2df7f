"""What every page of the console has: its frame, its headers, its namespace, and how it tells what went wrong."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.names import DEFAULT_NAMESPACE, is_name
from bloge_server.http.console import shown
from bloge_server.http.console.forms import name_in
from bloge_server.http.console.presence import is_here
from bloge_server.http.console.security import HEADERS, Visitor
from bloge_server.http.errors import INVALID_STATE, STATUSES

BASE = "/console"
_SEE_OTHER = 303
_NOT_FOUND = 404

Endpoint = Callable[[Request], Awaitable[Response]]

_log = structlog.get_logger(__name__)


class Site:
    """Renders pages.

    Args:
        version: of the server.
    """

    def __init__(self, version: str) -> None:
        self._version = version

    @cached_property
    def _templates(self) -> Environment:
        templates = Environment(
            loader=PackageLoader("bloge_server.http.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        templates.filters.update(shown.FILTERS)
        templates.globals.update(url=_url, version=self._version, is_here=is_here)
        return templates

    def page(self, request: Request, template: str, http_status: int = 200, **facts: object) -> Response:
        """Return a page.

        Args:
            request: what asked for it.
            template: by its name without `.html`.
            http_status: of the response.
            facts: what the template shows.
        """
        visitor = Visitor(request)
        frame: dict[str, object] = {
            "namespace": _namespace_or_default(request),
            "token": visitor.token,
            "path": request.url.path,
            "here": f"{request.url.path}?{request.url.query}",
            "now_ms": now_ms(request),
        }
        text = self._templates.get_template(f"{template}.html").render(frame | facts)
        response = HTMLResponse(text, http_status, {**HEADERS, "Cache-Control": "no-store"})
        visitor.remember(response)
        return response

    def route(self, path: str, endpoint: Endpoint, *methods: str) -> Route:
        """Return a route below the console's address; what its endpoint raises becomes a page."""

        async def answer(request: Request) -> Response:
            try:
                return await endpoint(request)
            except RemoteWorkersError as error:
                return self._refusal(request, error)
            except HTTPException as error:
                return self._problem(request, error.status_code, error.detail)

        return Route(BASE + path, answer, methods=list(methods) or ["GET"])

    def nowhere(self, request: Request) -> Response:
        """Return what is said of an address that has no page."""
        return self._problem(request, _NOT_FOUND, "there is no such page")

    def _refusal(self, request: Request, error: RemoteWorkersError) -> Response:
        if error.reason is Reason.INTERNAL:
            _log.error("page failed", path=request.url.path, error=str(error), exc_info=error.__cause__)
        status, _ = STATUSES.get(error.reason, INVALID_STATE)
        details = [f"{each.field} {each.description}" for each in error.fields]
        return self._problem(request, status, error.message, [] if details == [error.message] else details)

    def _problem(self, request: Request, status: int, message: str, details: list[str] | None = None) -> Response:
        return self.page(request, "problem", status, message=message, details=details or [], status=status)


def namespace_of(request: Request) -> str:
    """Return the namespace that a page is about.

    Raises:
        RemoteWorkersError: INVALID_FIELD.
    """
    return name_in(request.query_params, "namespace") or DEFAULT_NAMESPACE


def _namespace_or_default(request: Request) -> str:
    name = request.query_params.get("namespace", "")
    return name if is_name(name) else DEFAULT_NAMESPACE


def now_ms(request: Request) -> int:
    """Return the time of a request, ms since 1970."""
    clock: Callable[[], float] = request.app.state.clock
    return int(clock() * 1000)


def link(namespace: str, *parts: str, **query: object) -> str:
    """Return the address of a page.

    Args:
        namespace: that it is about.
        parts: of its path below the console's address.
        query: its parameters; empty ones are left out.
    """
    given: Mapping[str, object] = {"namespace": "" if namespace == DEFAULT_NAMESPACE else namespace, **query}
    filled = [(name, str(value)) for name, value in given.items() if value not in ("", None)]
    path = "/".join((BASE, *(quote(part, safe="") for part in parts)))
    return path + (f"?{urlencode(filled)}" if filled else "")


def page_after(namespace: str, token: str, *parts: str, **query: object) -> str:
    """Return the address of a list's next page; empty if there is none.

    Args:
        namespace: that the list is about.
        token: of the next page, as a call gives it.
        parts: of the list's path.
        query: its filter.
    """
    return link(namespace, *parts, **query, page=token) if token else ""


def see(request: Request, *parts: str, **query: object) -> Response:
    """Send the browser to a page after an action, so that loading it again repeats nothing."""
    return RedirectResponse(link(namespace_of(request), *parts, **query), _SEE_OTHER, HEADERS)


@pass_context
def _url(context: Context, *parts: str, **query: Any) -> str:  # noqa: ANN401 - whatever can be written as text
    return link(context["namespace"], *parts, **query)
