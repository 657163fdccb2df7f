"""`/api/v1/journal`: what happens in topics, as server-sent events."""

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge_server.http import sse
from bloge_server.http.gateway.endpoints import BASE, namespace_of, validated
from bloge_server.http.gateway.values import Name, instant
from bloge_server.http.sse import Message
from bloge_server.services.event_feed import EventFeed, EventReader, News, Place, TopicEvent, Wanted

_MESSAGE_EVENTS = 500


class JournalQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Name | None = None
    item: Name | None = None
    execution: Name | None = None
    """A reply group: orchestrators use the execution's id."""
    worker: Name | None = None
    kind: Annotated[str, Field(pattern=r"^[a-z_]+(,[a-z_]+)*$")] | None = None
    """Kinds parted by commas, for example `dead_letter,retry`."""
    last: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Begin with about so many of the latest events."""

    def wanted(self) -> Wanted:
        """Return what is to be told."""
        kinds = frozenset(self.kind.split(",")) if self.kind else frozenset[str]()
        return Wanted(kinds, self.item or "", self.execution or "", self.worker or "")


def routes(feed: EventFeed) -> list[Route]:
    """Return the route of the journal."""

    async def show(request: Request) -> Response:
        query = validated(JournalQuery, dict(request.query_params))
        return stream(feed, namespace_of(request), query, request.headers.get(sse.LAST_EVENT_ID, ""))

    return [Route(f"{BASE}/journal", show)]


def stream(feed: EventFeed, namespace: str, query: JournalQuery, last_id: str) -> Response:
    """Return what happens in a namespace, as it happens.

    Args:
        feed: reads it.
        namespace: of the topics.
        query: which events.
        last_id: id of the last message that the browser has; empty at the first time.

    Raises:
        RemoteWorkersError: INVALID_FIELD, or NOT_IMPLEMENTED if there is nothing to read.
    """
    reader = feed.reader(namespace, query.topic or "", query.wanted())
    place = Place.parse(last_id, sse.LAST_EVENT_ID) if last_id else None
    return sse.response(_messages(reader, place, query.last))


async def _messages(reader: EventReader, place: Place | None, last: int) -> AsyncIterator[Message]:
    if place is None:
        news = await reader.latest(last)
        place = news.place
        for message in _of(news):
            yield message
    async for news in reader.follow(place):
        for message in _of(news):
            yield message


def _of(news: News) -> Iterable[Message]:
    """Yield a round in messages that are not too large; the last one tells how far the round came."""
    rest = news.events
    while len(rest) > _MESSAGE_EVENTS:
        part, rest = rest[:_MESSAGE_EVENTS], rest[_MESSAGE_EVENTS:]
        yield Message(str(part[-1].place), list(map(_shown, part)))
    yield Message(str(news.place), list(map(_shown, rest)) or None)


def _shown(told: TopicEvent) -> dict[str, Any]:
    event = told.event
    return {
        "time": instant(told.at_ms),
        "kind": event.kind,
        "detail": event.detail or None,
        "workerTopic": told.worker_topic,
        "itemId": event.item_id,
        "workerId": event.worker_id or None,
        "fence": event.fence or None,
        "replyGroup": event.reply_group or None,
    }
