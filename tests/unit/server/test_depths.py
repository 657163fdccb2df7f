"""How depths are read: bounded, seldom, and without one topic hiding the others."""

from typing import Any

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.work_item import NO_LIMITS
from bloge_server.services import depths
from bloge_server.services.depths import Depths
from bloge_server.store import topics
from bloge_server.store.topics import TopicView
from bloge_server.telemetry.catalogue import OTHER
from bloge_server.telemetry.metrics import Metrics

from .test_meters import samples

SHARED = (OTHER, OTHER, "READY")


class Bench:
    """Depths on a store that the test answers for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, own: int) -> None:
        self.now = 0.0
        self.topics = [("ns", f"t{number}") for number in range(5)]
        self.asked: list[str] = []
        self.refusals: dict[str, Reason] = {}
        self.metrics = Metrics(own, "1.0")
        store: Any = None
        self.depths = Depths(store, self.metrics, lambda: self.topics, list, lambda: self.now)
        monkeypatch.setattr(topics, "describe", self._describe)

    async def _describe(self, _store: object, _namespace: str, worker_topic: str) -> TopicView:
        self.asked.append(worker_topic)
        if reason := self.refusals.get(worker_topic):
            raise RemoteWorkersError(reason, "no")
        return TopicView(1, 0, 0, 0, 0, -1, paused=False, limits=NO_LIMITS, oldest_dead_ms=-1, unacknowledged=0,
                         oldest_unacknowledged_ms=-1)  # fmt: skip

    async def ready(self, seconds: float = 1.0) -> dict[tuple[str, ...], float]:
        """Let time pass, and return how many items are ready by topic."""
        self.now += seconds
        await self.depths.refresh()
        items = samples(self.metrics, "bloge_items")
        return {labels: value for labels, value in items.items() if labels[2] == "READY"}


async def test_the_store_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks sooner gets the same numbers."""
    bench = Bench(monkeypatch, own=10)
    assert len(await bench.ready()) == 5
    assert len(await bench.ready(0.5)) == 5
    assert len(bench.asked) == 5


async def test_topics_without_a_name_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each go reads a bounded number of them; after some all are counted, and stay so."""
    monkeypatch.setattr(depths, "_OTHERS_AT_ONCE", 2)
    bench = Bench(monkeypatch, own=1)
    assert [(await bench.ready())[SHARED] for _ in range(3)] == [2, 4, 4]
    assert bench.asked == ["t1", "t2", "t0", "t3", "t4", "t0", "t1", "t2", "t0"]


async def test_a_broken_topic_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody wrote into one topic's keys is that topic's trouble."""
    bench = Bench(monkeypatch, own=10)
    bench.refusals["t2"] = Reason.INTERNAL
    assert {labels[1] for labels in await bench.ready()} == {"t0", "t1", "t3", "t4"}


async def test_without_the_store_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old numbers would say that all is well."""
    bench = Bench(monkeypatch, own=10)
    await bench.ready()
    bench.refusals["t0"] = Reason.STORE_UNAVAILABLE
    assert await bench.ready() == {}
