"""A store that Sentinel watches."""

from collections.abc import AsyncIterator, Iterator

import pytest

from bloge_server.store import connection
from support.sentinel import SentinelProcesses, running_sentinel
from support.waiting import until

from .conftest import TIMEOUT_SECONDS, Work, listening, unavailable


@pytest.fixture
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelProcesses]:
    """Return a master, a replica and the Sentinel that watches them."""
    with running_sentinel(tmp_path_factory.mktemp("sentinel")) as processes:
        yield processes


@pytest.fixture
async def work(sentinel: SentinelProcesses, namespace: str) -> AsyncIterator[Work]:
    """Return a topic on that store."""
    url = sentinel.url
    async with connection.connect(url, TIMEOUT_SECONDS) as client:
        await connection.check(client, url)
        yield Work(client, (namespace, "topic"))


async def test_after_a_failover_the_new_master_is_used(work: Work, sentinel: SentinelProcesses) -> None:
    """Calls are refused meanwhile; what the replica had is there, wake-ups are heard again."""
    async with listening(work.client, work.topic) as ears:
        await work.enqueue("a")
        await work.replicate()
        sentinel.master.kill()
        async with unavailable():
            await work.claim()
        until(lambda: sentinel.master_port() == sentinel.replica.port, "the replica is the master")
        await work.until_it_works()
        (lease,) = await work.claim()
        assert lease.item_id == "a"
        assert await work.complete(lease)
        await ears.hear_again(work.topic)
        await work.round("b")
        await ears.heard(work.topic, "ready")
    assert await work.findings() == []


async def test_an_old_master_that_lives_on_as_a_replica_is_left(work: Work, sentinel: SentinelProcesses) -> None:
    """A failover on demand, in which no connection needs to break."""
    await work.round("a")
    sentinel.fail_over()
    await work.until_it_works()
    await work.round("b")
