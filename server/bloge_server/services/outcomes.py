"""Brings outcomes to those who watch or await them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.work_item import Emission, OutboxPage, StoredOutcome
from bloge_server.store.errors import unknown_schema
from bloge_server.store.redis_store import OUTBOX_BYTES, RedisStore

Source = tuple[Topic, str]
"""A topic and a reply group."""

_PAGE = 500
"""Outcomes read at once: as many as workers report at once, so that a batch stays one."""
_MOST_HANDED_BYTES = 4 * OUTBOX_BYTES
_FALLBACK_SECONDS = 1.0


class News(NamedTuple):
    """What a source has to tell."""

    source: Source
    outcomes: list[StoredOutcome]
    caught_up: bool
    """True when the outbox has been read to its end for the first time."""


@dataclass(slots=True)
class _Reading:
    """Where a watcher stands in one outbox."""

    place: int = 0
    caught_up: bool = False
    unread: bool = False
    """There may be something behind the place."""
    is_read: bool = False
    """What is behind the place is on its way here."""
    handed: list[StoredOutcome] = field(default_factory=list)
    """Outcomes up to the place that the watcher was not told yet."""
    handed_bytes: int = 0


def _size(outcome: StoredOutcome) -> int:
    return len(outcome.spec) + len(outcome.output) + len(outcome.business_error)


class OutcomeWatch:
    """One watcher: reads the outboxes of its sources in order, each outcome once for as long as the store is there."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._readings: dict[Source, _Reading] = {}
        self._sources: defaultdict[Topic, set[Source]] = defaultdict(set)
        """The same sources by topic."""
        self._pending: dict[Source, None] = {}
        self._handed_bytes = 0
        """Of all sources: a client that does not read must not fill the server's memory."""
        self._news = asyncio.Event()

    def add(self, sources: Iterable[Source]) -> None:
        """Watch these sources too, from the beginning of their outboxes."""
        for source in sources:
            self._readings[source] = _Reading()
            self._sources[source[0]].add(source)
            self.poke(source)

    def remove(self, sources: Iterable[Source]) -> None:
        """Watch these no more."""
        for source in sources:
            self._take_handed(self._readings.pop(source, _Reading()))
            self._pending.pop(source, None)
            of_topic = self._sources[source[0]]
            of_topic.discard(source)
            if not of_topic:
                del self._sources[source[0]]

    def poke(self, source: Source) -> None:
        """Note that a source may have something new."""
        if (reading := self._readings.get(source)) is not None:
            reading.unread = True
            self._has_news(source)

    def read_anew(self, topic: Topic) -> None:
        """Read the outboxes of a topic from their beginning: places that are known may mean something else now."""
        for source in self._sources.get(topic, ()):
            self._take_handed(self._readings[source])
            self._readings[source] = _Reading(caught_up=self._readings[source].caught_up)
            self.poke(source)

    def take(self, source: Source, emission: Emission) -> None:
        """Take outcomes that follow what the watcher knows; else note that there is something to read."""
        reading = self._readings.get(source)
        if reading is None or emission.place <= reading.place:  # a read was faster than the reply
            return
        follows = emission.before <= reading.place and not reading.is_read
        if emission.outcomes is None or not follows or not self._hand(reading, emission.outcomes):
            self.poke(source)
            return
        reading.place = emission.place
        self._has_news(source)

    def _hand(self, reading: _Reading, outcomes: Sequence[StoredOutcome]) -> bool:
        """Keep outcomes for the watcher, if they fit into a frame, and into what all sources may have."""
        size = sum(map(_size, outcomes))
        fits = len(reading.handed) + len(outcomes) <= 2 * _PAGE and reading.handed_bytes + size <= OUTBOX_BYTES
        if not fits or self._handed_bytes + size > _MOST_HANDED_BYTES:
            return False
        reading.handed += outcomes
        reading.handed_bytes += size
        self._handed_bytes += size
        return True

    def _take_handed(self, reading: _Reading) -> list[StoredOutcome]:
        outcomes, reading.handed = reading.handed, []
        self._handed_bytes -= reading.handed_bytes
        reading.handed_bytes = 0
        return outcomes

    def _has_news(self, source: Source) -> None:
        self._pending[source] = None
        self._news.set()

    def poke_topic(self, topic: Topic) -> None:
        """Note that every source of a topic may have something new."""
        for source in self._sources.get(topic, ()):
            self.poke(source)

    @property
    def topics(self) -> Iterable[Topic]:
        """The topics of its sources."""
        return self._sources.keys()

    def groups_of(self, topic: Topic) -> list[str]:
        """Return the reply groups that it watches in a topic."""
        return [group for _, group in self._sources.get(topic, ())]

    async def next(self) -> News:
        """Wait for news of a source.

        Raises:
            RemoteWorkersError: the store cannot be reached; the news is not lost.
        """
        while True:
            while not self._pending:
                self._news.clear()
                await self._news.wait()
            source = next(iter(self._pending))
            del self._pending[source]
            reading = self._readings[source]
            if reading.handed:
                if reading.unread:
                    self._has_news(source)
                return News(source, self._take_handed(reading), caught_up=False)
            page = await self._read(source, reading)
            if self._readings.get(source) is not reading:
                continue  # removed, or begun anew, meanwhile
            if (news := self._news_of(source, reading, page)) is not None:
                return news

    async def _read(self, source: Source, reading: _Reading) -> OutboxPage:
        (namespace, worker_topic), reply_group = source
        reading.unread, reading.is_read = False, True
        try:
            return await self._store.read_outbox(namespace, worker_topic, reply_group, after=reading.place, limit=_PAGE)
        except RemoteWorkersError:
            self.poke(source)
            raise
        finally:
            reading.is_read = False

    def _news_of(self, source: Source, reading: _Reading, page: OutboxPage) -> News | None:
        reading.place = page.place
        caught_up = not page.more and not reading.caught_up
        reading.caught_up = reading.caught_up or caught_up
        if page.more:
            self.poke(source)
        return News(source, page.outcomes, caught_up) if page.outcomes or caught_up else None


class Outcomes:
    """All who wait for outcomes on this server."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._watches: set[OutcomeWatch] = set()
        self._awaited: dict[Topic, dict[str, set[asyncio.Event]]] = {}
        """By topic and item id."""

    def watch(self) -> OutcomeWatch:
        """Return a new watcher; close it with `unwatch`."""
        watch = OutcomeWatch(self._store)
        self._watches.add(watch)
        return watch

    def unwatch(self, watch: OutcomeWatch) -> None:
        """Forget a watcher."""
        self._watches.discard(watch)

    def heralded(self, topic: Topic, reply_group: str, origin: str) -> None:
        """Take the news of an outcome to its watchers, unless the call that wrote it was made here and has told."""
        if not self._store.handover.is_echo(origin):
            for watch in self._watches:
                watch.poke((topic, reply_group))

    def watch_any(self, topic: Topic) -> bool:
        """Return whether anybody watches outcomes of a topic."""
        return any(topic in watch.topics for watch in self._watches)

    def arose(self, emission: Emission) -> None:
        """Take outcomes that were written by a call of this server to their watchers."""
        for watch in self._watches:
            watch.take((emission.topic, emission.reply_group), emission)

    def done(self, topic: Topic, item_id: str) -> None:
        """Take the news of an item's outcome to those who await it."""
        for event in self._awaited[topic].get(item_id, ()) if topic in self._awaited else ():
            event.set()

    def look_again(self, topic: Topic) -> None:
        """Look at a topic again, because news from before it was listened to was missed."""
        for watch in self._watches:
            watch.poke_topic(topic)
        for events in self._awaited.get(topic, {}).values():
            for event in events:
                event.set()

    def read_anew(self, topic: Topic) -> None:
        """Look at a topic again, and believe nothing that is known of it: the store may have lost its last writes.

        A replica that took over, or a store that restarted, counts outcomes from before what it lost.
        """
        for watch in self._watches:
            watch.read_anew(topic)
        self.look_again(topic)

    @property
    def topics(self) -> set[Topic]:
        """The topics that somebody watches or awaits outcomes of."""
        return set(self._awaited).union(*(watch.topics for watch in self._watches))

    async def await_outcome(self, topic: Topic, item_id: str, seconds: float) -> StoredOutcome | None:
        """Return an item's outcome, waiting for it up to a time; None if there is none by then.

        Raises:
            RemoteWorkersError: NOT_FOUND, UNKNOWN_SCHEMA, or the store cannot be reached.
        """
        end = asyncio.get_running_loop().time() + seconds
        event = asyncio.Event()
        self._awaited.setdefault(topic, {}).setdefault(item_id, set()).add(event)
        try:
            # Only the waiting is cut short: a call to the store that is cancelled may swallow the cancellation.
            while (outcome := await self._read(topic, item_id)) is None:
                left = end - asyncio.get_running_loop().time()
                if left <= 0:
                    return None
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _FALLBACK_SECONDS)):
                        await event.wait()
                event.clear()
        finally:
            self._stop_awaiting(topic, item_id, event)
        return outcome

    def _stop_awaiting(self, topic: Topic, item_id: str, event: asyncio.Event) -> None:
        of_topic = self._awaited[topic]
        of_topic[item_id].discard(event)
        if not of_topic[item_id]:
            del of_topic[item_id]
        if not of_topic:
            del self._awaited[topic]

    async def _read(self, topic: Topic, item_id: str) -> StoredOutcome | None:
        status, outcome = await self._store.await_outcome(*topic, item_id)
        if status == "NOT_FOUND":
            raise RemoteWorkersError(Reason.NOT_FOUND, f"there is no work item {item_id!r} in topic {topic[1]!r}")
        if status == "UNKNOWN_SCHEMA":
            raise unknown_schema(item_id)
        return outcome
