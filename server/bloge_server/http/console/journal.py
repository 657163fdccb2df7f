"""The live journal: what happens, as it happens."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http import journal, sse
from bloge_server.http.console.site import Site, link, namespace_of
from bloge_server.http.gateway.endpoints import validated
from bloge_server.http.journal import JournalQuery
from bloge_server.services.event_feed import EventFeed

_FIELDS = ("topic", "item", "worker", "execution", "kind")
_LAST = 100
_KINDS = sorted(name.removeprefix("TOPIC_EVENT_KIND_").lower() for name in ops.TopicEventKind.keys()[1:])


class JournalPages:
    """The page, and the stream that feeds it.

    Args:
        site: renders it.
        feed: reads what happens.
    """

    def __init__(self, site: Site, feed: EventFeed) -> None:
        self._site = site
        self._feed = feed

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/journal", self.show),
            self._site.route("/journal/events", self.stream),
        ]

    async def show(self, request: Request) -> Response:
        """Show the page."""
        given = _given(request)
        validated(JournalQuery, given)
        source = link(namespace_of(request), "journal", "events", **given)
        query = {name: given.get(name, "") for name in _FIELDS}
        return self._site.page(request, "journal", query=query, kinds=_KINDS, source=source)

    async def stream(self, request: Request) -> Response:
        """Tell what happens: from where the browser was, or from a little before now."""
        last_id = request.headers.get(sse.LAST_EVENT_ID) or request.query_params.get("after", "")
        query = validated(JournalQuery, {**_given(request), "last": _LAST})
        return journal.stream(self._feed, namespace_of(request), query, last_id)


def _given(request: Request) -> dict[str, str]:
    values = {name: request.query_params.get(name, "").strip() for name in _FIELDS}
    return {name: value for name, value in values.items() if value}
