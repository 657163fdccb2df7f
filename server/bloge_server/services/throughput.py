"""Counts what this server does in each topic, and tells the store now and then, for everybody's curves."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.store import throughput
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.throughput import Counts
from bloge_server.telemetry.probe import Facts, Probe, Topic

INTERVAL_SECONDS = 5.0
"""How old the curves may be."""

_FAILED = frozenset({"FAILED", "ATTEMPT_TIMEOUT"})

_log = structlog.get_logger(__name__)


class Throughput(Probe):
    """What happened since the store was told last."""

    def __init__(self) -> None:
        self._counted: defaultdict[Topic, Counter[str]] = defaultdict(Counter)

    def happened(self, topic: Topic, facts: Facts) -> None:
        """Count what a call did."""
        for event, word, number in facts.events:
            for name in _counted(event, word):
                self._counted[topic][name] += number

    def judged(self, topic: Topic, report: str, reason: Reason | None, count: int) -> None:  # noqa: ARG002 - a probe's signature
        """Count answers to reports."""
        self._counted[topic]["accepted" if reason is None else "rejected"] += count

    async def run(self, store: RedisStore) -> None:
        """Tell the store at an interval, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.tell(store)

    async def tell(self, store: RedisStore) -> None:
        """Tell the store what happened; what it does not take is told the next time."""
        counted, self._counted = self._counted, defaultdict(Counter)
        for topic, counts in counted.items():
            try:
                await throughput.add(store, topic, Counts(**counts))
            except RemoteWorkersError as error:
                self._counted[topic].update(counts)
                _log.debug("throughput not told", namespace=topic[0], worker_topic=topic[1], error=str(error))


def _counted(event: str, word: str) -> Iterator[str]:
    """Yield the names of what an event of a script counts as."""
    if event in {"retry", "dead_letter"} and word == "LEASE_LOST":
        yield "leases_lost"
    elif event == "dead_letter" or (event == "retry" and word in _FAILED):
        yield "failed"
    elif event == "enqueued":
        yield "enqueued"
    elif event == "outcome" and word == "COMPLETED":
        yield "completed"
