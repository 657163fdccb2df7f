"""What happens to items that were claimed for somebody."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch.claims import ClaimPump
from bloge_server.dispatch.dispatcher import MAX_CLAIM_BYTES, Claim, Room, Topic
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Release, Verdict
from bloge_server.domain.work_item import Claimed, ClaimOrder, Lease
from bloge_server.store.redis_store import RedisStore

TOPIC = ("ns", "topic")


def lease(item_id: str) -> Lease:
    """Return a lease of an item."""
    return Lease(LeaseToken("ns", "topic", f"{item_id}/7/nonce"), b"", b"", 1, 1, 7, 30_000, -1, -1, b"", item_id)


@dataclass
class Backlog:
    """A store with items to claim; a claim waits until the test lets it through."""

    waiting: list[str] = field(default_factory=list)
    orders: list[ClaimOrder] = field(default_factory=list)
    released: list[Release] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None

    async def claim(self, namespace: str, worker_topic: str, order: ClaimOrder) -> Claimed:
        """Hand out what is wanted."""
        del namespace, worker_topic
        self.orders.append(order)
        await self.gate.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        taken, self.waiting = self.waiting[: order.max_items], self.waiting[order.max_items :]
        return Claimed([lease(item_id) for item_id in taken], bool(self.waiting))

    async def release(self, namespace: str, worker_topic: str, reports: list[Release]) -> list[Verdict]:
        """Take items back."""
        del namespace, worker_topic
        self.released.extend(reports)
        self.waiting.extend(report.token.item_id for report in reports)
        return [Verdict(None) for _ in reports]


@dataclass
class Taker:
    """Somebody with room for a number of items."""

    items: int
    slots: int = 0
    taken: list[str] = field(default_factory=list)

    def room(self, topic: Topic) -> Room:
        """Return what is left of the room."""
        return Room(self.items - len(self.taken), MAX_CLAIM_BYTES)

    def order(self, claim: Claim) -> ClaimOrder:
        """Claim as a worker."""
        return ClaimOrder("w1", claim.max_items, 30_000, max_bytes=claim.max_bytes, any_size=claim.any_size)

    def deliver(self, topic: Topic, leases: list[Lease]) -> None:
        """Take items."""
        assert topic == TOPIC
        self.taken.extend(each.item_id for each in leases)


@pytest.fixture
async def backlog() -> Backlog:
    """Return an empty store."""
    return Backlog()


@pytest.fixture
async def known() -> list[Topic]:
    """Return the topics that the pump made known."""
    return []


@pytest.fixture
async def pump(backlog: Backlog, known: list[Topic]) -> ClaimPump:
    """Return a pump on the store."""
    return ClaimPump(cast("RedisStore", backlog), known.extend)


async def settled(pump: ClaimPump) -> None:
    """Let every claim that can end, end."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(pump._running) <= 1


async def test_items_go_to_who_has_room(pump: ClaimPump, backlog: Backlog, known: list[Topic]) -> None:
    """A claimer gets what it has room for, and the pump tells which topics matter now."""
    backlog.gate.set()
    backlog.waiting = ["a", "b", "c"]
    taker = Taker(2)
    pump.add([TOPIC], taker)
    await settled(pump)
    assert taker.taken == ["a", "b"]
    assert known == [TOPIC]


async def test_new_room_is_used_when_the_pump_is_told(pump: ClaimPump, backlog: Backlog) -> None:
    """A claimer that has new room says so; the topic is known to have more."""
    backlog.gate.set()
    backlog.waiting = ["a", "b"]
    taker = Taker(1)
    claimer_id = pump.add([TOPIC], taker)
    await settled(pump)
    taker.items = 2
    pump.roomy(claimer_id)
    await settled(pump)
    assert taker.taken == ["a", "b"]


async def test_an_empty_topic_is_asked_once(pump: ClaimPump, backlog: Backlog) -> None:
    """Nothing is polled: the next claim comes with a wake-up."""
    backlog.gate.set()
    taker = Taker(5)
    claimer_id = pump.add([TOPIC], taker)
    await settled(pump)
    pump.roomy(claimer_id)
    await settled(pump)
    assert len(backlog.orders) == 1
    backlog.waiting = ["a"]
    pump.wake(TOPIC)
    await settled(pump)
    assert taker.taken == ["a"]


async def test_items_for_somebody_who_left_are_handed_back(pump: ClaimPump, backlog: Backlog) -> None:
    """A claim that comes back too late costs the items nothing: they are released as by a drain."""
    backlog.waiting = ["a"]
    taker = Taker(1)
    claimer_id = pump.add([TOPIC], taker)
    await settled(pump)
    pump.remove(claimer_id)
    backlog.gate.set()
    await settled(pump)
    assert taker.taken == []
    assert [(each.token, each.draining, each.delay_ms) for each in backlog.released] == [
        (LeaseToken("ns", "topic", "a/7/nonce"), True, 0)
    ]


async def test_items_handed_back_go_to_who_waits(pump: ClaimPump, backlog: Backlog) -> None:
    """Whoever is next in turn gets what the one who left did not take."""
    backlog.waiting = ["a"]
    leaver, stayer = Taker(1), Taker(1)
    claimer_id = pump.add([TOPIC], leaver)
    pump.add([TOPIC], stayer)
    await settled(pump)
    pump.remove(claimer_id)
    backlog.gate.set()
    await settled(pump)
    pump.wake(TOPIC)
    await settled(pump)
    assert stayer.taken == ["a"]


async def test_a_claim_that_never_started_is_not_made_for_who_left(pump: ClaimPump, backlog: Backlog) -> None:
    """Leaving before the claim is sent saves it."""
    backlog.gate.set()
    pump.remove(pump.add([TOPIC], Taker(1)))
    await settled(pump)
    assert backlog.orders == []


@pytest.mark.parametrize(
    "failure", [RemoteWorkersError(Reason.STORE_UNAVAILABLE, "gone"), ValueError("a reply nobody foresaw")]
)
async def test_a_failed_claim_gives_its_room_back(pump: ClaimPump, backlog: Backlog, failure: Exception) -> None:
    """After a failure the topic waits for its next wake-up, and the claimer has all of its room."""
    backlog.gate.set()
    backlog.failure = failure
    backlog.waiting = ["a", "b"]
    taker = Taker(2)
    pump.add([TOPIC], taker)
    await settled(pump)
    assert taker.taken == []
    pump.wake_all()
    await settled(pump)
    assert taker.taken == ["a", "b"]
