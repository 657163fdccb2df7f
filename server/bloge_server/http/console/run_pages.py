"""How far a long action has come."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge_server.http.console.forms import posted
from bloge_server.http.console.site import Site, namespace_of, now_ms, see
from bloge_server.store.runs import RunBook

_LOST_MS = 20_000
"""Longer without a word from the server that does it, and it is taken for gone."""


class RunPages:
    """The page of a long action.

    Args:
        site: renders it.
        book: where progress is noted.
    """

    def __init__(self, site: Site, book: RunBook) -> None:
        self._site = site
        self._book = book

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/runs/{run}", self.show),
            self._site.route("/runs/{run}/stop", self.stop, "POST"),
        ]

    async def show(self, request: Request) -> Response:
        """Show how far it has come: as a page, or as the part that changes."""
        run = await self._book.read(namespace_of(request), request.path_params["run"])
        if run is None:
            raise HTTPException(404, "no long action is known by this address; they are kept for a day")
        is_lost = run.state == "running" and now_ms(request) > run.updated_ms + _LOST_MS
        template = "run_progress" if "hx-request" in request.headers else "run"
        return self._site.page(request, template, run=run, is_lost=is_lost)

    async def stop(self, request: Request) -> Response:
        """Have it stop after its next step."""
        await posted(request)
        run_id = request.path_params["run"]
        await self._book.ask_to_stop(namespace_of(request), run_id)
        return see(request, "runs", run_id)
