"""What happens in topics, for whoever looks on: the streams of several topics as one, with places to go on from.

A topic's stream is in the order of the store's clock, but the streams of several topics are read one after the other.
So what a round of reading may have missed elsewhere is held back until the next one: an event is told once every topic
has been read beyond its time.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge_server.store import events
from bloge_server.store.events import EventId, ItemEvent, Part
from bloge_server.store.redis_store import RedisStore

_ROUND_SECONDS = 0.5
_TOPIC_SECONDS = 0.0025
"""A round over very many topics lasts longer, so that looking on never costs the store much."""
_ENTRIES = 200
"""Read of one topic in one round, far more than a store writes in a millisecond; the next round comes at once if there
may be more."""
_AT_ONCE = 8
_LAST_NUMBER = 2**64 - 1
_PLACE = re.compile(r"(\d{1,15})-(\d{1,9})")


class Place(NamedTuple):
    """How far a reader has come: everything before a millisecond, and so many events in it."""

    ms: int
    told: int

    def __str__(self) -> str:
        """Return it as it travels."""
        return f"{self.ms}-{self.told}"

    @classmethod
    def parse(cls, text: str, name: str = "position") -> "Place":
        """Return the place that a text stands for.

        Args:
            text: what travelled.
            name: of the field that it stands in.

        Raises:
            RemoteWorkersError: INVALID_FIELD.
        """
        match = _PLACE.fullmatch(text)
        if match is None:
            violation = FieldViolation(name, "must be empty or from an earlier reply")
            raise RemoteWorkersError(Reason.INVALID_FIELD, f"{name} is not one", fields=(violation,))
        return cls(int(match[1]), int(match[2]))


class TopicEvent(NamedTuple):
    """One event."""

    worker_topic: str
    at_ms: int
    event: ItemEvent
    place: Place
    """Behind it."""


class News(NamedTuple):
    """What one round brought."""

    events: list[TopicEvent]
    place: Place
    more: bool
    """True if the next round may bring more at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events."""

    kinds: frozenset[str] = field(default_factory=frozenset)
    """As scripts name them; empty: all."""
    item_id: str = ""
    reply_group: str = ""
    worker_id: str = ""

    def includes(self, event: ItemEvent) -> bool:
        """Return whether an event is wanted."""
        return (
            (not self.kinds or event.kind in self.kinds)
            and self.item_id in {"", event.item_id}
            and self.reply_group in {"", event.reply_group}
            and self.worker_id in {"", event.worker_id}
        )


Read = Callable[[str, EventId | None, int], Awaitable[Part]]
"""Returns the entries of a topic behind one, or its latest, at most so many."""


class EventFeed:
    """Reads the events of a store.

    Args:
        store: where they are.
        keeps_any: whether this server has events written at all.
    """

    def __init__(self, store: RedisStore, *, keeps_any: bool) -> None:
        self._store = store
        self._keeps_any = keeps_any

    def reader(self, namespace: str, worker_topic: str, wanted: Wanted) -> "EventReader":
        """Return a reader of one topic, or of all topics if its name is empty.

        Raises:
            RemoteWorkersError: NOT_IMPLEMENTED if there is nothing to read.
        """
        if not self._keeps_any:
            message = "this server keeps no journal of topics; start it with --journal-events above 0"
            raise RemoteWorkersError(Reason.NOT_IMPLEMENTED, message)

        async def topics() -> list[str]:
            return [worker_topic] if worker_topic else await self._store.topics(namespace)

        async def read(topic: str, after: EventId | None, limit: int) -> Part:
            if after is None:
                return await events.read_last(self._store, (namespace, topic), limit)
            return await events.read_after(self._store, (namespace, topic), after, limit)

        return EventReader(topics, read, wanted)


class EventReader:
    """One who looks on.

    Args:
        topics: returns the topics.
        read: reads one of them.
        wanted: which events are told.
    """

    def __init__(self, topics: Callable[[], Awaitable[list[str]]], read: Read, wanted: Wanted) -> None:
        self._topics = topics
        self._read = read
        self._wanted = wanted

    async def latest(self, count: int) -> News:
        """Return about so many of the latest events, 0 for none, and the place behind them."""
        parts = await self._round(None, max(1, count))
        news = _told(parts, self._wanted, Place(0, 0))
        return news._replace(events=news.events[-count:] if count else [])

    async def after(self, place: Place) -> News:
        """Return what is behind a place, as far as it is certain."""
        parts = await self._round(EventId(max(0, place.ms - 1), _LAST_NUMBER), _ENTRIES)
        return _told(parts, self._wanted, place)

    async def follow(self, place: Place) -> AsyncIterator[News]:
        """Yield what is behind a place, then what happens, for ever; rounds that brought nothing too."""
        while True:
            news = await self.after(place)
            place = news.place
            yield news
            if not news.more:
                await asyncio.sleep(max(_ROUND_SECONDS, _TOPIC_SECONDS * len(await self._topics())))

    async def _round(self, after: EventId | None, limit: int) -> dict[str, Part]:
        room = asyncio.Semaphore(_AT_ONCE)

        async def part(topic: str) -> Part:
            async with room:
                return await self._read(topic, after, limit)

        topics = await self._topics()
        return dict(zip(topics, await asyncio.gather(*map(part, topics)), strict=True))


def _told(parts: Mapping[str, Part], wanted: Wanted, place: Place) -> News:
    """Return the events of a round that nothing unread can precede, in order, from a place on."""
    certain_ms = min(map(_certain_ms, parts.values()), default=place.ms)
    lines = sorted(
        (entry.event_id, topic, number, event)
        for topic, part in parts.items()
        for entry in part.entries
        if place.ms <= entry.event_id.ms < certain_ms
        for number, event in enumerate(entry.events)
    )
    found, at = [], Place(place.ms, 0)
    for (ms, _), topic, _, event in lines:
        at = Place(ms, at.told + 1 if ms == at.ms else 1)
        if at > place and wanted.includes(event):
            found.append(TopicEvent(topic, ms, event, at))
    more = any(part.is_full for part in parts.values())
    return News(found, max(place, Place(certain_ms, 0)), more)


def _certain_ms(part: Part) -> int:
    """Return up to which time, excluded, a part has everything."""
    return part.entries[-1].event_id.ms if part.is_full else part.read_at_ms
