"""Everything that the console serves."""

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from bloge_server.http.console.bulk import BulkPages
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.curves import ReadCounts
from bloge_server.http.console.dead_letters import DeadLetterPages
from bloge_server.http.console.executions import ExecutionCalls, ExecutionPages
from bloge_server.http.console.find import FindPages
from bloge_server.http.console.items import ItemPages
from bloge_server.http.console.journal import JournalPages
from bloge_server.http.console.overview import Overview
from bloge_server.http.console.records import RecordPages
from bloge_server.http.console.replay import ReplayPages
from bloge_server.http.console.run_pages import RunPages
from bloge_server.http.console.runs import Runs
from bloge_server.http.console.security import HEADERS
from bloge_server.http.console.site import BASE, Site
from bloge_server.http.console.topics import TopicPages
from bloge_server.http.console.workers import WorkerPages
from bloge_server.services.event_feed import EventFeed

_HOUR = 3600


class _OwnFiles(StaticFiles):
    """Files of the console; addresses name the release, so that a browser keeps them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file."""
        response = await super().get_response(path, scope)
        response.headers.update({**HEADERS, "Cache-Control": f"max-age={_HOUR}"})
        return response


class Sources(NamedTuple):
    """What the console asks."""

    calls: Calls
    executions: ExecutionCalls
    feed: EventFeed
    read_counts: ReadCounts
    runs: Runs


def routes(sources: Sources, version: str) -> list[BaseRoute]:
    """Return the routes of the console.

    Args:
        sources: what it asks.
        version: of the server.
    """
    site = Site(version)
    calls, executions, feed, read_counts, runs = sources
    pages = (
        Overview(site, calls, read_counts),
        TopicPages(site, calls, read_counts),
        ItemPages(site, calls),
        ReplayPages(site, calls),
        WorkerPages(site, calls),
        ExecutionPages(site, calls, executions),
        DeadLetterPages(site, calls),
        BulkPages(site, calls, runs),
        RunPages(site, runs.book),
        JournalPages(site, feed),
        RecordPages(site, calls, runs),
        FindPages(site, calls, executions),
    )

    async def nowhere(request: Request) -> Response:
        return site.nowhere(request)

    files = Mount(f"{BASE}/static", _OwnFiles(packages=[("bloge_server.http.console", "static")]))
    return [files, *(route for each in pages for route in each.routes()), site.route("/{rest:path}", nowhere)]
