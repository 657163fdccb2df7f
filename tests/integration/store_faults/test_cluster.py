"""A cluster whose slots move and whose nodes break."""

import asyncio
from pathlib import Path

import pytest

from bloge_server.store import connection
from bloge_server.store.redis_store import RedisStore
from support.cluster import ClusterProcesses, running_cluster
from support.waiting import until

from .conftest import TIMEOUT_SECONDS, Work, listening, unavailable


@pytest.fixture
async def work(cluster: ClusterProcesses, cluster_client: connection.Client, namespace: str) -> Work:
    """Return a topic on the cluster."""
    await connection.check(cluster_client, cluster.url)
    return Work(cluster_client, (namespace, "topic"))


def spread(work: Work, cluster: ClusterProcesses) -> list[Work]:
    """Return one topic on each node."""
    found: dict[int, Work] = {}
    number = 0
    while len(found) < len(cluster.nodes):
        other = Work(work.client, (work.topic[0], f"t{number}"))
        found.setdefault(cluster.node_of(other.slot).port, other)
        number += 1
    return list(found.values())


async def test_topics_on_every_node_work_and_are_heard(work: Work, cluster: ClusterProcesses) -> None:
    """Two clients of one cluster: what one does, the other hears, wherever the topic is."""
    topics = spread(work, cluster)
    async with connection.connect(cluster.url) as other, listening(other, *(each.topic for each in topics)) as ears:
        for each in topics:
            await each.round("a")
            await ears.heard(each.topic, "ready")
    assert sorted(await work.store.all_topics()) >= sorted(each.topic for each in topics)
    assert await work.findings() == []


async def test_flushed_scripts_are_sent_again_to_each_node(work: Work, cluster: ClusterProcesses) -> None:
    """Nodes know scripts each for itself."""
    for each in spread(work, cluster):
        await each.round("a")
        cluster.nodes[0].admin.script_flush()
        await each.round("b")


async def test_a_slot_that_has_moved_is_followed(work: Work, cluster: ClusterProcesses) -> None:
    """The topic goes on where it is now, and is heard there."""
    async with listening(work.client, work.topic) as ears:
        await work.round("a")
        await work.enqueue("b")
        target = cluster.other_than(cluster.node_of(work.slot))
        cluster.begin_move(work.slot, target)
        cluster.move_keys(work.slot, target)
        cluster.end_move(work.slot, target)
        (lease,) = await work.claim()
        assert lease.item_id == "b"
        assert await work.complete(lease)
        await ears.hear_again(work.topic)
        await work.round("c")
        await ears.heard(work.topic, "ready")
    assert await work.findings() == []


async def test_an_empty_slot_on_the_move_takes_nothing(work: Work, cluster: ClusterProcesses) -> None:
    """A script that could not write all of its keys does not begin."""
    target = cluster.other_than(cluster.node_of(work.slot))
    cluster.begin_move(work.slot, target)
    async with unavailable(text="moving"):
        await work.enqueue("a")
    cluster.end_move(work.slot, target)
    await work.round("a")


async def test_half_moved_topics_are_never_half_written(work: Work, cluster: ClusterProcesses) -> None:
    """Whichever keys have moved, and even if every index has an entry, a call is refused as a whole."""
    await work.enqueue(*(f"i{number}" for number in range(9)))
    (lease, *_) = await work.claim(3)
    for index in ("retry", "deadlines", "dead", "finished"):
        await work.store.command("ZADD", work.base + index, 10**14, "ghost")
    target = cluster.other_than(cluster.node_of(work.slot))
    cluster.begin_move(work.slot, target)
    while cluster.move_keys(work.slot, target, most=2):
        for call in (work.claim(), work.enqueue("new"), work.complete(lease)):
            async with unavailable(text="moving"):
                await call
    cluster.end_move(work.slot, target)
    for index in ("retry", "deadlines", "dead", "finished"):
        await work.store.command("ZREM", work.base + index, "ghost")
    assert await work.findings() == []
    assert await work.complete(lease)
    assert len(await work.claim(9)) == 6


async def test_a_slot_that_moves_as_a_whole_refuses_nothing(work: Work, cluster: ClusterProcesses) -> None:
    """Valkey 9 moves slots atomically: work goes on meanwhile."""
    stop = asyncio.Event()

    async def load() -> int:
        rounds = 0
        while not stop.is_set():
            await work.round(f"item-{rounds}")
            rounds += 1
        return rounds

    await work.round("first")
    async with listening(work.client, work.topic) as ears:
        loading = asyncio.create_task(load())
        source = cluster.node_of(work.slot)
        moved = await asyncio.to_thread(cluster.move_at_once, work.slot, cluster.other_than(source))
        if moved:
            await ears.hear_again(work.topic)
        stop.set()
        assert await loading
    if not moved:
        pytest.skip("these nodes move slots key by key only")
    assert await work.findings() == []


async def test_a_node_that_freezes_takes_only_its_own_topics_along(work: Work, cluster: ClusterProcesses) -> None:
    """The others go on; its own go on when it is back."""
    broken, *others = spread(work, cluster)
    for each in (broken, *others):
        await each.round("a")
    node = cluster.node_of(broken.slot)
    node.freeze()
    try:
        async with unavailable():
            await broken.claim()
        for each in others:
            await each.round("b")
    finally:
        node.thaw()
    await broken.until_it_works()
    until(cluster.agreed, "the cluster is whole again")
    await broken.round("b")


async def test_a_cluster_that_is_not_there_is_unavailable(work: Work, cluster: ClusterProcesses) -> None:
    """Every node was asked, none answers; as soon as they do, everything goes on."""
    client = connection.connect(cluster.url, 0.3)
    async with client:
        store = RedisStore(client)
        for node in cluster.nodes:
            node.freeze()
        try:
            async with unavailable(text="no node tells who serves what"):
                await store.topics(work.topic[0])
        finally:
            for node in cluster.nodes:
                node.thaw()
        await work.until_it_works()
        until(cluster.agreed, "the cluster is whole again")
        assert work.topic[1] not in await store.topics(work.topic[0])


async def test_a_replica_that_takes_over_is_followed(tmp_path: Path, namespace: str) -> None:
    """Its topics are refused until then, and heard afterwards."""
    with running_cluster(tmp_path) as cluster:
        async with connection.connect(cluster.url, TIMEOUT_SECONDS) as client:
            work = Work(client, (namespace, "topic"))
            master = cluster.node_of(work.slot)
            replica = cluster.add_replica(master)
            async with listening(client, work.topic) as ears:
                await work.enqueue("a")
                await work.replicate()
                master.kill()
                async with unavailable():
                    await work.claim()
                await work.until_it_works()
                assert replica.info("replication")["role"] == "master"
                (lease,) = await work.claim()
                assert lease.item_id == "a"
                assert await work.complete(lease)
                await ears.hear_again(work.topic)
                await work.round("b")
                await ears.heard(work.topic, "ready")
