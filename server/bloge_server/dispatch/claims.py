"""Carries out the claims that the dispatcher decides."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.dispatch.dispatcher import Claim, Dispatcher, Room, Topic
from bloge_server.domain.reports import Release
from bloge_server.domain.work_item import ClaimOrder, Lease
from bloge_server.store.redis_store import RedisStore

_log = structlog.get_logger(__name__)


class Claimer(Protocol):
    """Somebody who wants items."""

    @property
    def slots(self) -> int:
        """How many items it works on at once; 0: not known."""

    def room(self, topic: Topic) -> Room:
        """Return what of a topic can be taken now."""

    def order(self, claim: Claim) -> ClaimOrder:
        """Return how to make a claim."""

    def deliver(self, topic: Topic, leases: list[Lease]) -> None:
        """Take what was claimed; never empty."""


class ClaimPump:
    """Claims for whoever is there, one call a topic at a time."""

    def __init__(self, store: RedisStore, on_topics: Callable[[Iterable[Topic]], None]) -> None:
        self._store = store
        self._on_topics = on_topics
        self._dispatcher = Dispatcher()
        self._claimers: dict[int, Claimer] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, topics: Iterable[Topic], claimer: Claimer) -> int:
        """Claim for somebody from now on; return the id to remove them by."""
        wanted = list(topics)
        claimer_id = self._dispatcher.add(wanted, claimer.room, claimer.slots)
        self._claimers[claimer_id] = claimer
        self._on_topics(wanted)
        self._pump()
        return claimer_id

    def remove(self, claimer_id: int) -> None:
        """Claim for them no more."""
        self._dispatcher.remove(claimer_id)
        self._claimers.pop(claimer_id, None)

    def wake(self, topic: Topic) -> None:
        """Note that a topic may have something to claim."""
        self._dispatcher.wake(topic)
        self._pump()

    def wake_all(self) -> None:
        """Note that every topic may have something to claim."""
        self._dispatcher.wake_all()
        self._pump()

    def roomy(self, claimer_id: int) -> None:
        """Note that a claimer may have new room."""
        self._dispatcher.roomy(claimer_id)
        self._pump()

    @property
    def topics(self) -> set[Topic]:
        """The topics that somebody wants items of."""
        return self._dispatcher.topics

    def _pump(self) -> None:
        """Start the claims that can be made now."""
        for claim in self._dispatcher.decide():
            running = asyncio.create_task(self._claim(claim))
            self._running.add(running)
            running.add_done_callback(self._running.discard)

    async def settle(self) -> None:
        """Wait until the claims that are on their way have come back, and gone on or back."""
        if self._running:
            await asyncio.wait(self._running)

    async def _claim(self, claim: Claim) -> None:
        taken, more = 0, False
        try:
            taken, more = await self._claim_and_deliver(claim)
        except RemoteWorkersError as error:
            _log.warning("claim failed", namespace=claim.topic[0], worker_topic=claim.topic[1], error=str(error))
        finally:
            self._dispatcher.claimed(claim, taken=taken, more=more)
        self._pump()

    async def _claim_and_deliver(self, claim: Claim) -> tuple[int, bool]:
        """Return how many items came, and whether there may be more."""
        claimer = self._claimers.get(claim.claimer_id)
        if claimer is None:
            return 0, True
        claimed = await self._store.claim(*claim.topic, claimer.order(claim))
        if claimed.leases and claim.claimer_id in self._claimers:
            claimer.deliver(claim.topic, claimed.leases)
        elif claimed.leases:
            await self._hand_back(claim.topic, claimed.leases)
        return len(claimed.leases), claimed.more

    async def _hand_back(self, topic: Topic, leases: list[Lease]) -> None:
        """Release what was claimed for somebody who has left meanwhile."""
        releases = [Release(lease.token, 0, '"the claimer left"', draining=True, digest="left") for lease in leases]
        await self._store.release(*topic, releases)
