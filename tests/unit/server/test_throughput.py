"""What a server tells the store of its throughput."""

from typing import Any, cast

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.services.throughput import Throughput
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.throughput import Counts
from bloge_server.telemetry.probe import Facts

TOPIC = ("ns", "topic")


class Store:
    """Remembers what it was told of each topic."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[tuple[str, Counts]] = []

    async def read(self, script: str, _namespace: str, worker_topic: str, args: list[Any]) -> int:
        """Take note."""
        assert script == "count_throughput"
        if self.away:
            raise RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone")
        self.told.append((worker_topic, Counts(*args[2:])))
        return 1


async def tell(throughput: Throughput, store: Store) -> None:
    """Tell the store."""
    await throughput.tell(cast("RedisStore", store))


async def test_events_are_counted_as_what_they_mean() -> None:
    """Each once: a lost lease is no failure of the handler, and a release is neither."""
    throughput, store = Throughput(), Store()
    events = [
        ("enqueued", "", 7),
        ("outcome", "COMPLETED", 3),
        ("outcome", "TIMED_OUT", 1),
        ("retry", "FAILED", 2),
        ("retry", "ATTEMPT_TIMEOUT", 1),
        ("retry", "LEASE_LOST", 4),
        ("retry", "RELEASED", 5),
        ("retry", "OFFER_EXPIRED", 5),
        ("dead_letter", "LEASE_LOST", 1),
        ("dead_letter", "BUDGET_SPENT", 1),
        ("claimed", "", 9),
    ]
    throughput.happened(TOPIC, Facts(events, []))
    throughput.judged(TOPIC, "complete", None, 3)
    throughput.judged(TOPIC, "fail", Reason.SUPERSEDED, 2)
    await tell(throughput, store)
    counts = Counts(enqueued=7, completed=3, failed=4, accepted=3, rejected=2, leases_lost=5)
    assert store.told == [("topic", counts)]


async def test_what_the_store_does_not_take_is_told_later() -> None:
    """With what came meanwhile."""
    throughput, store = Throughput(), Store()
    throughput.happened(TOPIC, Facts([("enqueued", "", 1)], []))
    store.away = True
    await tell(throughput, store)
    throughput.happened(TOPIC, Facts([("enqueued", "", 2)], []))
    store.away = False
    await tell(throughput, store)
    assert store.told == [("topic", Counts(enqueued=3))]


async def test_topics_in_which_nothing_happens_cost_nothing() -> None:
    """The store hears of what happened, and of it once."""
    throughput, store = Throughput(), Store()
    throughput.happened(TOPIC, Facts([("enqueued", "", 1)], []))
    for _ in range(2):
        await tell(throughput, store)
    assert len(store.told) == 1
