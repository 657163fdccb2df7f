"""A store of one node that breaks in every way it can: calls are refused, and go on by themselves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lifecycle import Status
from bloge_server.domain.reports import Fail
from bloge_server.store import connection
from bloge_server.store.durability import Replicas
from bloge_server.store.redis_store import RedisStore
from support.tcp_store import TcpStore
from support.waiting import until

from .conftest import TIMEOUT_SECONDS, Work, listening, unavailable


async def test_a_restarted_store_is_used_again(work: Work, tcp_store: TcpStore) -> None:
    """What was acknowledged is there, scripts are loaded again, wake-ups are heard again."""
    async with listening(work.client, work.topic) as ears:
        await work.enqueue("a")
        tcp_store.kill()
        async with unavailable():
            await work.enqueue("b")
        async with unavailable():
            await work.claim()
        tcp_store.start()
        (lease,) = await work.claim()
        assert lease.item_id == "a"
        await ears.hear_again(work.topic)
        await work.enqueue("b")
        await ears.heard(work.topic, "ready")
    assert await work.complete(lease)
    assert await work.findings() == []


async def test_connections_that_died_in_the_pool_cost_no_call(work: Work, tcp_store: TcpStore) -> None:
    """Each is replaced before it is used."""
    await asyncio.gather(*(work.store.topics(work.topic[0]) for _ in range(20)))
    await asyncio.to_thread(tcp_store.stop)  # in a thread, so that we hear of the closed connections
    await asyncio.to_thread(tcp_store.start)
    await asyncio.gather(*(work.store.topics(work.topic[0]) for _ in range(20)))


async def test_flushed_scripts_are_sent_again(work: Work, tcp_store: TcpStore) -> None:
    """A store forgets scripts when it is told to, and nobody notices."""
    await work.round("a")
    tcp_store.admin.script_flush()
    await work.round("b")


async def test_a_full_store_says_so(work: Work, tcp_store: TcpStore) -> None:
    """A refused enqueue has changed nothing; when there is memory again everything goes on."""
    await work.enqueue("a")
    tcp_store.admin.config_set("maxmemory", 1)
    async with unavailable(Reason.STORE_FULL):
        await work.enqueue("b")
    tcp_store.admin.config_set("maxmemory", 0)
    assert [lease.item_id for lease in await work.claim(2)] == ["a"]
    assert await work.findings() == []


async def test_a_full_store_drains(work: Work, tcp_store: TcpStore) -> None:
    """Only new work is refused: what is there is claimed, finished, acknowledged and goes after its retention."""
    await work.enqueue("a")
    await work.enqueue("b")
    tcp_store.admin.config_set("maxmemory", 1)
    done, failed = await work.claim(2)
    assert await work.complete(done)
    failure = Fail(failed.token, "Boom", '{"type":"Boom"}', non_retryable=True, retry_after_ms=-1, digest="digest")
    (verdict,) = await work.store.fail(*work.topic, [failure])
    assert verdict.accepted
    (dropped,) = await work.store.discard(*work.topic, [failed.item_id])
    assert dropped.answer == "DISCARDED"
    forgetful = RedisStore(work.client, retention_ms=0)
    assert await forgetful.acknowledge(*work.topic, ["a", "b"]) == 2
    assert (await forgetful.sweep(*work.topic)).purged == 2
    assert await work.findings() == []


async def test_a_replica_takes_nothing(work: Work, tcp_store: TcpStore) -> None:
    """Until it is a master again."""
    await work.enqueue("a")
    tcp_store.command("REPLICAOF", "127.0.0.1", "1")
    async with unavailable(text="refuses writes"):
        await work.claim()
    tcp_store.command("REPLICAOF", "NO", "ONE")
    assert [lease.item_id for lease in await work.claim(2)] == ["a"]
    assert await work.findings() == []


async def test_a_master_without_the_replicas_it_asks_for_takes_nothing(work: Work, tcp_store: TcpStore) -> None:
    """Its own rule, `min-replicas-to-write`."""
    tcp_store.admin.config_set("min-replicas-to-write", 1)
    async with unavailable(text="NOREPLICAS"):
        await work.enqueue("a")
    tcp_store.admin.config_set("min-replicas-to-write", 0)
    await work.round("a")


async def test_a_frozen_store_hangs_nobody(work: Work, tcp_store: TcpStore) -> None:
    """More calls than connections end too; when the store goes on, so do they."""
    async with listening(work.client, work.topic) as ears:
        await work.round("a")
        tcp_store.freeze()
        answers = await asyncio.gather(*(work.works() for _ in range(300)))
        assert not any(answers)
        tcp_store.thaw()
        await work.until_it_works()
        await work.round("b")
        await ears.heard(work.topic, "ready")


async def test_a_claim_whose_answer_is_lost_is_not_made_twice(work: Work, tcp_store: TcpStore) -> None:
    """A frozen store carries it out later; nobody sends it again."""
    await work.enqueue("a", "b")
    await work.works()
    tcp_store.freeze()
    async with unavailable():
        await work.claim()
    tcp_store.thaw()
    await work.until_it_works()
    assert (await work.item("a")).state.claim_count + (await work.item("b")).state.claim_count <= 1
    assert await work.findings() == []


@pytest.fixture
def replica(tcp_store: TcpStore, tmp_path: Path) -> Iterator[TcpStore]:
    """Return a replica of the store."""
    replica = TcpStore(tmp_path / "replica", "--replicaof", f"127.0.0.1 {tcp_store.port}")
    try:
        replica.start()
        until(lambda: replica.info("replication")["master_link_status"] == "up", "the replica follows")
        tcp_store.command("SET", "mark", "")
        assert tcp_store.command("WAIT", 1, 4000) == 1, "the replica acknowledges"
        yield replica
    finally:
        replica.close()


@pytest.fixture
async def replicated(tcp_store: TcpStore, namespace: str) -> AsyncIterator[Work]:
    """Return a topic whose writes wait for one replica."""
    async with connection.connect(tcp_store.url, TIMEOUT_SECONDS) as client:
        yield Work(client, (namespace, "topic"), Replicas(1, 500))


async def test_what_replicas_have_is_acknowledged(replicated: Work, replica: TcpStore) -> None:
    """Enqueues and reports wait; what the replica has then, it has without the master."""
    await replicated.round("a")
    async with connection.connect(replica.url, TIMEOUT_SECONDS) as client:
        (stored,) = await Work(client, replicated.topic).store.get(*replicated.topic, ["a"])
    assert stored is not None
    assert stored.state.outcome is not None


async def test_what_too_few_replicas_have_is_not_acknowledged(
    replicated: Work, tcp_store: TcpStore, replica: TcpStore
) -> None:
    """It is stored. Repeated, by another server even, it is refused while the replica lacks it, and then found done."""
    await replicated.enqueue("first")
    (first,) = await replicated.claim()
    replica.freeze()
    async with connection.connect(tcp_store.url, TIMEOUT_SECONDS) as client:
        for each in (replicated, Work(client, replicated.topic, Replicas(1, 500))):
            async with unavailable(text="acknowledged by 0 of 1 replicas"):
                await each.enqueue("a")
            async with unavailable(text="the same call again is safe"):
                await each.complete(first)
    assert (await replicated.item("a")).state.status is Status.READY
    replica.thaw()
    until(replica.answers, "the replica goes on")
    assert await replicated.enqueue("a") == ["EXISTS"]
    assert await replicated.complete(first)


async def test_without_a_replica_nothing_is_acknowledged(replicated: Work) -> None:
    """Not even the topic."""
    async with unavailable(text="0 of 1 replicas"):
        await replicated.enqueue("a")
