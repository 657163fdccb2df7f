"""Reads what there is when somebody asks for metrics: bounded, and the store at most once a second."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.dispatch.session import Session
from bloge_server.store import topics
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.topics import TopicView
from bloge_server.telemetry.meters import Labels
from bloge_server.telemetry.metrics import Metrics

_FRESH_SECONDS = 1.0
_AT_ONCE = 8
_OTHERS_AT_ONCE = 100
"""How many topics without numbers of their own are read in one go; the next go reads the next ones."""

_STATUSES = {
    "READY": "ready",
    "CLAIMED": "claimed",
    "RETRY_WAIT": "retry_wait",
    "DEAD_LETTER": "dead",
    "FINISHED": "finished",
}
_NUMBERS = {
    "bloge_topic_paused": "paused",
    "bloge_dead_letters_beyond_limit": "dead_beyond_limit",
    "bloge_unacknowledged_outcomes": "unacknowledged",
}
_AGES = {
    "bloge_oldest_ready_age_seconds": "oldest_ready_ms",
    "bloge_oldest_dead_letter_age_seconds": "oldest_dead_ms",
    "bloge_oldest_unacknowledged_age_seconds": "oldest_unacknowledged_ms",
}
"""Gauges, and what they show of a topic's view."""

_log = structlog.get_logger(__name__)

_Values = defaultdict[Labels, float]


class Present(Protocol):
    """A worker's session on this server."""

    session: Session
    topics: list[Topic]


class Depths:
    """Keeps the gauges up to date.

    Args:
        store: where topics live.
        metrics: whose gauges.
        known: returns the topics.
        present: returns the sessions.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: RedisStore,
        metrics: Metrics,
        known: Callable[[], Collection[Topic]],
        present: Callable[[], Collection[Present]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._known = known
        self._present = present
        self._clock = clock
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._others: dict[Topic, TopicView] = {}
        """What is known of topics without numbers of their own."""
        self._turn = 0
        """Where the next go among them begins."""

    async def refresh(self) -> None:
        """Read the topics again if the last time is over a second ago; without the store there are no numbers."""
        self._count_sessions()
        async with self._reading:
            if self._clock() < self._read_at + _FRESH_SECONDS:
                return
            try:
                views = await self._views()
            except RemoteWorkersError as error:
                _log.warning("topics cannot be counted", error=str(error))
                views = []
            self._read_at = self._clock()
        for name, values in _gauges(views).items():
            self._metrics.set(name, values)
        self._metrics.set("bloge_topics", {(): len(self._known())})

    def _count_sessions(self) -> None:
        by_topic: _Values = defaultdict(float)
        credits_left = outstanding = 0
        for each in self._present():
            credits_left += each.session.credits
            outstanding += each.session.outstanding
            for topic in each.topics:
                by_topic[self._metrics.topics.of(topic)] += 1
        self._metrics.set("bloge_sessions", {(): len(self._present())})
        self._metrics.set("bloge_credits", {(): credits_left})
        self._metrics.set("bloge_offers_outstanding", {(): outstanding})
        self._metrics.set("bloge_topic_sessions", by_topic)

    async def _views(self) -> list[tuple[Labels, TopicView]]:
        labels = {topic: self._metrics.topics.of(topic) for topic in sorted(self._known())}
        own = [topic for topic, name in labels.items() if name == topic]
        others = [topic for topic, name in labels.items() if name != topic]
        start = self._turn % max(1, len(others))
        self._turn = start + _OTHERS_AT_ONCE
        self._others = {topic: view for topic, view in self._others.items() if topic in labels}
        self._others.update(await self._described((others[start:] + others[:start])[:_OTHERS_AT_ONCE]))
        found = await self._described(own)
        return [(labels[topic], view) for topic, view in (*found, *self._others.items())]

    async def _described(self, wanted: Iterable[Topic]) -> list[tuple[Topic, TopicView]]:
        room = asyncio.Semaphore(_AT_ONCE)

        async def described(topic: Topic) -> tuple[Topic, TopicView] | None:
            async with room:
                try:
                    return topic, await topics.describe(self._store, *topic)
                except RemoteWorkersError as error:
                    if error.reason is not Reason.INTERNAL:
                        raise
                    _log.warning("topic cannot be counted", namespace=topic[0], worker_topic=topic[1], error=str(error))
                    return None

        return [each for each in await asyncio.gather(*map(described, wanted)) if each is not None]


def _gauges(views: Iterable[tuple[Labels, TopicView]]) -> Mapping[str, _Values]:
    """Return the values of each gauge. What shares its labels is added up, of ages the greatest counts."""
    gauges: dict[str, _Values] = {name: defaultdict(float) for name in (*_NUMBERS, *_AGES, "bloge_items")}
    for labels, view in views:
        for status, name in _STATUSES.items():
            gauges["bloge_items"][*labels, status] += getattr(view, name)
        for name, attribute in _NUMBERS.items():
            gauges[name][labels] += getattr(view, attribute)
        for name, attribute in _AGES.items():
            gauges[name][labels] = max(gauges[name][labels], getattr(view, attribute) / 1000)
    return gauges
