"""Does what falls due in every topic: retries, lapsed leases, suspend deadlines, retention.

Any number of servers sweep the same topics; the scripts make that safe. A sweeper sleeps until the earliest due time it
knows of, and looks again within the fallback interval in case a wake-up was lost.
"""

import asyncio
import heapq
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.work_item import SweepResult
from bloge_server.telemetry.probe import SILENT, Probe

FALLBACK_SECONDS = 1.0
FAILED_SECONDS = 0.1
"""A sweep that failed is tried again so soon: what fell due while the store was away fires when it is back."""
SPREAD = 0.25
"""Share of the fallback interval by which a topic is looked at early, so that thousands are not looked at at once."""
TICK_SECONDS = 0.05
"""What is looked at in case a wake-up was lost is looked at at whole ticks, so that some dozens share a trip."""

_TOGETHER = 50
"""Topics that one trip sweeps at most: a longer one would keep the store from others."""
_AT_ONCE = 8
"""Trips at a time: those of thousands of topics must not stand in line before the calls of workers."""
_WARN_AGAIN_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class Agenda:
    """When each topic is due next; knows no clock but what it is told. A call costs the logarithm of their number."""

    def __init__(self) -> None:
        self._due: dict[Topic, float] = {}
        self._heap: list[tuple[float, Topic]] = []
        """Entries that are not in `_due` any more mean nothing."""

    def know(self, topic: Topic, now: float) -> bool:
        """Add a topic, due now; return whether it is new."""
        if topic in self._due:
            return False
        self._due[topic] = math.inf
        self.schedule(topic, now)
        return True

    def forget(self, topic: Topic) -> None:
        """Remove a topic."""
        self._due.pop(topic, None)

    def schedule(self, topic: Topic, at: float) -> None:
        """Make a topic due at a time, if it is not due sooner. One that is not known, or not any more, stays so."""
        if at < self._due.get(topic, -math.inf):
            self._due[topic] = at
            heapq.heappush(self._heap, (at, topic))

    def take_due(self, now: float) -> list[Topic]:
        """Return the topics that are due. Until they are scheduled again they are not."""
        due = []
        while self.next_due() <= now:
            _, topic = heapq.heappop(self._heap)
            self._due[topic] = math.inf
            due.append(topic)
        return due

    def next_due(self) -> float:
        """Return when the next topic is due; infinity if none is."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else math.inf

    def __contains__(self, topic: Topic) -> bool:
        """Return whether a topic is known."""
        return topic in self._due

    def __iter__(self) -> Iterator[Topic]:
        """Iterate over all topics."""
        return iter(self._due)


class Sweeper:
    """Sweeps topics when they are due.

    Args:
        sweep: sweeps topics that are together.
        together: returns topics in parts, each of which one trip can sweep.
        clock: monotonic seconds.
        dice: returns a number in [0, 1).
        probe: is told how late each pass began.
    """

    def __init__(
        self,
        sweep: Callable[[Sequence[Topic]], Awaitable[Sequence[SweepResult | RemoteWorkersError]]],
        together: Callable[[Sequence[Topic]], list[list[Topic]]],
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        probe: Probe = SILENT,
    ) -> None:
        self._sweep = sweep
        self._together = together
        self._probe = probe
        self._clock = clock
        self._dice = dice
        self._agenda = Agenda()
        self._changed = asyncio.Event()
        self._sweeping: set[Topic] = set()
        self._trips: set[asyncio.Task[None]] = set()
        self._due_again: set[Topic] = set()
        """Topics that fell due while they were swept."""
        self._failing: set[Topic] = set()
        """Topics whose last sweep failed; that is logged once."""
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._warned: dict[Topic, float] = {}
        """When each topic was last said to have too many dead letters."""

    @property
    def topics(self) -> set[Topic]:
        """The topics that are taken care of."""
        return set(self._agenda)

    def know(self, topic: Topic) -> bool:
        """Take care of a topic from now on; return whether it is new."""
        new = self._agenda.know(topic, self._clock())
        if new:
            self._changed.set()
        return new

    def forget(self, topic: Topic) -> None:
        """Take care of a topic no more."""
        self._agenda.forget(topic)
        self._failing.discard(topic)
        self._warned.pop(topic, None)

    def schedule(self, topic: Topic, delay_ms: int) -> None:
        """Note that something falls due in a topic after a delay."""
        self._schedule(topic, self._clock() + delay_ms / 1000)

    def _schedule(self, topic: Topic, at: float) -> None:
        if at < self._agenda.next_due():
            self._changed.set()
        self._agenda.schedule(topic, at)

    async def run(self) -> None:
        """Sweep until cancelled. A topic whose store is slow to answer keeps no other waiting."""
        try:
            while True:
                now = self._clock()
                if (late := now - self._agenda.next_due()) >= 0:
                    self._probe.swept(late)
                self._start(self._agenda.take_due(now))
                self._changed.clear()
                delay = self._agenda.next_due() - self._clock()
                if delay > 0:
                    await self._sleep(min(delay, FALLBACK_SECONDS))
        finally:
            for trip in self._trips:
                trip.cancel()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _start(self, due: list[Topic]) -> None:
        self._due_again.update(self._sweeping.intersection(due))
        for part in self._together([topic for topic in due if topic not in self._sweeping]):
            for start in range(0, len(part), _TOGETHER):
                trip = asyncio.create_task(self._sweep_in_turn(part[start : start + _TOGETHER]))
                self._trips.add(trip)
                trip.add_done_callback(self._trips.discard)
            self._sweeping.update(part)

    async def _sweep_in_turn(self, topics: list[Topic]) -> None:
        async with self._turns:
            results = await self._sweep_all(topics)
        for topic, result in zip(topics, results, strict=True):
            self._sweeping.discard(topic)
            if topic in self._agenda:  # else it was forgotten meanwhile
                self._schedule(topic, self._take(topic, result))

    async def _sweep_all(self, topics: list[Topic]) -> Sequence[SweepResult | RemoteWorkersError]:
        try:
            return await self._sweep(topics)
        except Exception as error:  # noqa: BLE001 - a defect in one sweep must not end all
            _log.exception("sweep broke", topics=topics)
            return [RemoteWorkersError(Reason.INTERNAL, str(error))] * len(topics)

    def _take(self, topic: Topic, result: SweepResult | RemoteWorkersError) -> float:
        """Tell what a sweep did; return when the topic is due again."""
        now = self._clock()
        if isinstance(result, RemoteWorkersError):
            if topic not in self._failing:
                _log.warning("sweep failed", namespace=topic[0], worker_topic=topic[1], error=str(result))
            self._failing.add(topic)
            return now + FAILED_SECONDS
        self._failing.discard(topic)
        self._tell(topic, result)
        if topic in self._due_again:
            self._due_again.discard(topic)
            return now
        fallback = now + FALLBACK_SECONDS * (1 - SPREAD * self._dice())
        fallback -= fallback % TICK_SECONDS
        return min(fallback, now + result.next_due_ms / 1000) if result.next_due_ms >= 0 else fallback

    def _tell(self, topic: Topic, result: SweepResult) -> None:
        log = _log.bind(namespace=topic[0], worker_topic=topic[1])
        if result.expired or result.timed_out:
            log.info("swept", **result._asdict())
        if result.discarded:
            log.warning("dead letters discarded: the topic has too many", discarded=result.discarded)
        if not result.dead_beyond_limit:
            self._warned.pop(topic, None)
        elif self._clock() >= self._warned.get(topic, -math.inf) + _WARN_AGAIN_SECONDS:
            self._warned[topic] = self._clock()
            log.warning("too many dead letters: replay or discard them", beyond_limit=result.dead_beyond_limit)
