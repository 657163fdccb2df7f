"""Does what falls due in every topic: retries, lapsed leases, suspend deadlines, retention.

Any number of servers sweep the same topics; the scripts make that safe. A sweeper sleeps until the earliest due time it
knows of, and looks again after the fallback interval in case a wake-up was lost.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection

import structlog

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.work_item import SweepResult
from bloge_server.telemetry.probe import SILENT, Probe

FALLBACK_SECONDS = 1.0

_WARN_AGAIN_SECONDS = 60.0

_log = structlog.get_logger(__name__)


class Agenda:
    """When each topic is due next; knows no clock but what it is told."""

    def __init__(self) -> None:
        self._due: dict[Topic, float] = {}

    def know(self, topic: Topic, now: float) -> bool:
        """Add a topic, due now; return whether it is new."""
        if topic in self._due:
            return False
        self._due[topic] = now
        return True

    @property
    def topics(self) -> Collection[Topic]:
        """The topics that are known."""
        return self._due.keys()

    def schedule(self, topic: Topic, at: float) -> None:
        """Make a topic due at a time, if it is not due sooner."""
        self._due[topic] = min(at, self._due.get(topic, math.inf))

    def take_due(self, now: float) -> list[Topic]:
        """Return the topics that are due. Until they are scheduled again they are not."""
        due = [topic for topic, at in self._due.items() if at <= now]
        for topic in due:
            self._due[topic] = math.inf
        return due

    def next_due(self) -> float:
        """Return when the next topic is due; infinity if none is."""
        return min(self._due.values(), default=math.inf)


class Sweeper:
    """Sweeps topics when they are due.

    Args:
        sweep: sweeps one topic.
        clock: monotonic seconds.
        probe: is told how late each pass began.
    """

    def __init__(
        self,
        sweep: Callable[[str, str], Awaitable[SweepResult]],
        clock: Callable[[], float] = time.monotonic,
        *,
        probe: Probe = SILENT,
    ) -> None:
        self._sweep = sweep
        self._probe = probe
        self._clock = clock
        self._agenda = Agenda()
        self._changed = asyncio.Event()
        self._warned: dict[Topic, float] = {}
        """When each topic was last said to have too many dead letters."""

    @property
    def topics(self) -> Collection[Topic]:
        """The topics that are taken care of."""
        return self._agenda.topics

    def know(self, topic: Topic) -> bool:
        """Take care of a topic from now on; return whether it is new."""
        new = self._agenda.know(topic, self._clock())
        if new:
            self._changed.set()
        return new

    def schedule(self, topic: Topic, delay_ms: int) -> None:
        """Note that something falls due in a topic after a delay."""
        at = self._clock() + delay_ms / 1000
        if at < self._agenda.next_due():
            self._changed.set()
        self._agenda.schedule(topic, at)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            now = self._clock()
            if (late := now - self._agenda.next_due()) >= 0:
                self._probe.swept(late)
            due = self._agenda.take_due(now)
            await asyncio.gather(*map(self._sweep_topic, due))
            self._changed.clear()
            delay = self._agenda.next_due() - self._clock()
            if delay > 0:
                await self._sleep(min(delay, FALLBACK_SECONDS))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _sweep_topic(self, topic: Topic) -> None:
        next_seconds = FALLBACK_SECONDS
        try:
            result = await self._sweep(*topic)
        except RemoteWorkersError as error:
            _log.warning("sweep failed", namespace=topic[0], worker_topic=topic[1], error=str(error))
        except Exception:  # noqa: BLE001 - a defect in one topic's sweep must not end all
            _log.exception("sweep broke", namespace=topic[0], worker_topic=topic[1])
        else:
            if result.next_due_ms >= 0:
                next_seconds = min(next_seconds, result.next_due_ms / 1000)
            self._tell(topic, result)
        self._agenda.schedule(topic, self._clock() + next_seconds)

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
