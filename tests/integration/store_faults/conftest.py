"""Stores that tests may break."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from redis.crc import key_slot

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.lifecycle import Status
from bloge_server.domain.reports import Complete
from bloge_server.domain.work_item import ClaimOrder, Lease, NewItem, StoredItem
from bloge_server.store import connection, keys
from bloge_server.store.audit import Auditor
from bloge_server.store.durability import NO_REPLICAS, Replicas
from bloge_server.store.findings import Finding
from bloge_server.store.keys import Topic
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.wakeups import WakeListener
from support.cluster import ClusterProcesses, running_cluster
from support.tcp_store import TcpStore
from support.waiting import until_true

TIMEOUT_SECONDS = 1.0
"""What a frozen store costs a test, per call."""


class Work:
    """One topic of a store, with short words for what tests do to it."""

    def __init__(self, client: connection.Client, topic: Topic, replicas: Replicas = NO_REPLICAS) -> None:
        self.client = client
        self.store = RedisStore(client, replicas=replicas)
        self.topic = topic
        self.base = keys.topic_base(*topic)
        self.slot = key_slot(self.base.encode())

    async def enqueue(self, *item_ids: str) -> list[str]:
        """Enqueue items; return their statuses."""
        items = [NewItem(each, "digest", b"", b"payload", reply_group="group") for each in item_ids]
        return [each.status for each in await self.store.enqueue(*self.topic, items)]

    async def claim(self, max_items: int = 1) -> list[Lease]:
        """Claim items."""
        return (await self.store.claim(*self.topic, ClaimOrder("w1", max_items, 30_000))).leases

    async def complete(self, lease: Lease) -> bool:
        """Report an output; return whether it was accepted."""
        (verdict,) = await self.store.complete(*self.topic, [Complete(lease.token, "complete", b"{}", "digest")])
        return verdict.accepted

    async def round(self, item_id: str) -> None:
        """Take an item through its whole life."""
        assert await self.enqueue(item_id) == ["CREATED"]
        (lease,) = await self.claim()
        assert await self.complete(lease)
        assert (await self.item(item_id)).state.status is Status.DONE

    async def item(self, item_id: str) -> StoredItem:
        """Read an item that must be there."""
        (stored,) = await self.store.get(*self.topic, [item_id])
        assert stored is not None
        return stored

    async def replicate(self) -> None:
        """Wait until a replica has everything."""
        # Shorter than a reply may take; a replica that has just begun may need more than one.
        for _ in range(30):
            (_, acknowledged) = await self.client.send(self.base, *Replicas(1, 900).waiting(self.base))
            if acknowledged == 1:
                return
        raise AssertionError("no replica has everything within 27 s")

    async def works(self) -> bool:
        """Return whether the store takes calls; anything but an unavailable store is told."""
        try:
            await self.store.sweep(*self.topic)
        except RemoteWorkersError as error:
            if error.reason is not Reason.STORE_UNAVAILABLE:
                raise
            return False
        return True

    async def until_it_works(self) -> None:
        """Wait until the store takes calls again."""
        await until_true(self.works, "the store takes calls")

    async def findings(self) -> list[Finding]:
        """Return what stands where it should not."""
        auditor = Auditor(self.store, self.topic[0])
        return [finding async for step in auditor.run() for finding in step.findings]


@asynccontextmanager
async def unavailable(reason: Reason = Reason.STORE_UNAVAILABLE, text: str = "store") -> AsyncIterator[None]:
    """Expect a call to be refused because of the store, with a time to come again."""
    with pytest.raises(RemoteWorkersError, match=text) as refused:
        yield
    assert refused.value.reason is reason
    assert refused.value.retry_delay_seconds


class Ears:
    """A listener at work, and what it told."""

    def __init__(self, client: connection.Client) -> None:
        self.lines: asyncio.Queue[tuple[Topic, list[str]]] = asyncio.Queue()
        self.begun: asyncio.Queue[Topic] = asyncio.Queue()
        self.listener = WakeListener(
            client, lambda topic, lines: self.lines.put_nowait((topic, lines)), self.begun.put_nowait
        )

    async def heard(self, topic: Topic, line: str) -> None:
        """Wait until a line of a topic is heard."""
        while True:
            heard, lines = await self.lines.get()
            if heard == topic and line in lines:
                return

    async def hear_again(self, topic: Topic) -> None:
        """Wait until a subscription to a topic begins to stand."""
        while await self.begun.get() != topic:
            pass


@asynccontextmanager
async def listening(client: connection.Client, *topics: Topic) -> AsyncIterator[Ears]:
    """Yield a listener that hears these topics."""
    ears = Ears(client)
    ears.listener.watch(topics)
    task = asyncio.create_task(ears.listener.run())
    try:
        missing = set(topics)
        while missing:
            missing.discard(await ears.begun.get())
        yield ears
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def tcp_store(tmp_path: Path) -> Iterator[TcpStore]:
    """Return a store of the test's own, which keeps its data through restarts."""
    store = TcpStore(tmp_path / "store", "--appendonly", "yes", "--appendfsync", "always")
    try:
        store.start()
        yield store
    finally:
        store.close()


@pytest.fixture
async def work(tcp_store: TcpStore, namespace: str) -> AsyncIterator[Work]:
    """Return a topic on a store of the test's own."""
    async with connection.connect(tcp_store.url, TIMEOUT_SECONDS) as client:
        yield Work(client, (namespace, "topic"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProcesses]:
    """Return a cluster that the tests of a module share; each leaves it whole."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as processes:
        yield processes


@pytest.fixture
async def cluster_client(cluster: ClusterProcesses) -> AsyncIterator[connection.Client]:
    """Return a client of the cluster."""
    async with connection.connect(cluster.url, TIMEOUT_SECONDS) as client:
        yield client
