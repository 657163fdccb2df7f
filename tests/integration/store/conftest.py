"""Real stores whose time belongs to the test: a single one and a cluster."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Receipt, Release, Verdict
from bloge_server.domain.work_item import ClaimOrder, Lease, NewItem, StoredItem
from bloge_server.store import connection
from bloge_server.store.connection import Client
from bloge_server.store.redis_store import RedisStore
from support.cluster import ClusterProcesses

TOPIC = "topic"
LEASE_MS = 30_000
OFFER_MS = 5_000
START_MS = 1_700_000_000_000


@dataclass
class Clock:
    """The store's time, in ms."""

    now: int = START_MS

    def __call__(self) -> int:
        """Return the current time."""
        return self.now

    def pass_ms(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds


class Bench:
    """One topic of a real store, with short words for what tests do to it.

    Args:
        way: the store's own way to it.
        client: another client, to look behind the store's back and to break things.
        namespace: of the topic.
    """

    def __init__(self, way: Client, client: Any, namespace: str) -> None:
        self.clock = Clock()
        self.store = RedisStore(way, retention_ms=60_000, clock=self.clock, dice=lambda: 0.5)
        self.way = way
        self.client = client
        self.namespace = namespace

    async def enqueue(self, *items: NewItem) -> list[str]:
        """Enqueue items; return their statuses."""
        return [each.status for each in await self.store.enqueue(self.namespace, TOPIC, items)]

    async def claim(
        self, max_items: int = 1, *, worker: str = "w1", offer: bool = False, request_id: str = ""
    ) -> list[Lease]:
        """Claim items."""
        order = ClaimOrder(worker, max_items, LEASE_MS, OFFER_MS if offer else 0, request_id=request_id)
        return (await self.store.claim(self.namespace, TOPIC, order)).leases

    async def claim_one(self, worker: str = "w1", *, offer: bool = False) -> LeaseToken:
        """Claim exactly one item; return its token."""
        (lease,) = await self.claim(worker=worker, offer=offer)
        return lease.token

    async def complete(self, token: LeaseToken, output: bytes = b"{}", digest: str = "d") -> Verdict:
        """Report an output."""
        return (await self.store.complete(self.namespace, TOPIC, [Complete(token, "complete", output, digest)]))[0]

    async def business_error(self, token: LeaseToken) -> Verdict:
        """Report a business error."""
        report = Complete(token, "business_error", b"\x0a\x01X", "b")
        return (await self.store.complete(self.namespace, TOPIC, [report]))[0]

    async def fail(
        self, token: LeaseToken, *, kind: str = "Boom", fatal: bool = False, after: int = -1, digest: str = "f"
    ) -> Verdict:
        """Report a failure."""
        report = Fail(token, kind, f'{{"type":"{kind}"}}', fatal, after, digest)
        return (await self.store.fail(self.namespace, TOPIC, [report]))[0]

    async def heartbeat(self, token: LeaseToken, *, lease_ms: int = 0, progress: bytes | None = None) -> Verdict:
        """Extend a lease."""
        return (await self.store.heartbeat(self.namespace, TOPIC, [Heartbeat(token, lease_ms, progress)]))[0]

    async def release(self, token: LeaseToken, *, delay: int = 0, draining: bool = False) -> Verdict:
        """Hand an item back."""
        report = Release(token, delay, '"because"', draining, f"release-{delay}")
        return (await self.store.release(self.namespace, TOPIC, [report]))[0]

    async def receive(self, token: LeaseToken, age_ms: int = 0) -> Verdict:
        """Confirm an offer."""
        return (await self.store.receive(self.namespace, TOPIC, [Receipt(token, age_ms)]))[0]

    async def sweep(self) -> None:
        """Do what is due."""
        await self.store.sweep(self.namespace, TOPIC)

    async def item(self, item_id: str = "a") -> StoredItem:
        """Read an item that must be there."""
        (stored,) = await self.store.get(self.namespace, TOPIC, [item_id])
        assert stored is not None
        return stored

    async def gone(self, item_id: str = "a") -> bool:
        """Return whether there is no such item."""
        (stored,) = await self.store.get(self.namespace, TOPIC, [item_id])
        return stored is None

    async def indexes(self, item_id: str = "a") -> set[str]:
        """Return the indexes in which an item stands."""
        base = f"bloge:{{{self.namespace}/t/{TOPIC}}}:"
        names = ("ready", "leases", "retry", "deadlines", "dead", "finished", "outbox:group")
        return {name for name in names if await self.client.zscore(base + name, item_id) is not None}

    async def outbox(self) -> list[str]:
        """Return the ids of unacknowledged outcomes, in their order."""
        page = await self.store.read_outbox(self.namespace, TOPIC, "group", after=0, limit=100)
        return [outcome.item_id for outcome in page.outcomes]


def new(item_id: str = "a", **changes: object) -> NewItem:
    """Return an item with a reply group and whatever else is said."""
    return NewItem(item_id, "digest", b"", b"payload", reply_group="group")._replace(**changes)  # type: ignore[arg-type]  # the test names real fields


@pytest.fixture(params=["single", "cluster"])
async def bench(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Bench]:
    """Return a topic of the test's own on each form of store."""
    async with AsyncExitStack() as stack:
        if request.param == "single":
            url = request.getfixturevalue("store_url")
            client: Any = await stack.enter_async_context(Redis.from_url(url))
        else:
            processes: ClusterProcesses = request.getfixturevalue("cluster")
            url = processes.url
            client = await stack.enter_async_context(RedisCluster.from_url(processes.nodes[0].url))
        way: Client = await stack.enter_async_context(connection.connect(url))
        yield Bench(way, client, namespace)
