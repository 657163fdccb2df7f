"""Which stores a server trusts."""

import asyncio
from pathlib import Path

import pytest
from redis import Redis

from bloge_server.errors import StartupError
from bloge_server.store import connection
from bloge_server.store.redis_store import RedisStore
from support.store_process import running_store


async def check(url: str) -> None:
    """Check a store as a starting server does."""
    client = connection.connect(url)
    try:
        await connection.check(client, url)
    finally:
        await client.aclose()


async def test_a_store_that_keeps_everything_is_trusted(store_url: str) -> None:
    """A plain store with `noeviction`."""
    await check(store_url)


async def test_a_store_that_may_evict_is_refused_with_the_fix(tmp_path: Path) -> None:
    """Evicted keys are lost work items."""
    with running_store(tmp_path, "--maxmemory-policy", "allkeys-lru") as url:
        with pytest.raises(StartupError, match="CONFIG SET maxmemory-policy noeviction") as error:
            await check(url)
        assert "allkeys-lru" in str(error.value)
        with Redis.from_url(url) as admin:
            admin.config_set("maxmemory-policy", "noeviction")
        await check(url)


async def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With its address."""
    with pytest.raises(StartupError, match=f"{tmp_path}/none.sock cannot be reached"):
        await check(f"unix://{tmp_path}/none.sock")


async def test_a_store_with_another_password_is_told_without_ours(tmp_path: Path) -> None:
    """A password never reaches a message."""
    with running_store(tmp_path) as url:
        with Redis.from_url(url) as admin:
            admin.config_set("requirepass", "right")
        with pytest.raises(StartupError, match="cannot be reached") as error:
            await check(f"unix://:wrong-one@{tmp_path}/store.sock")
        assert "wrong-one" not in str(error.value)


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "", "redis://host:port", "redis://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Before anything is tried."""
    with pytest.raises(StartupError, match="redis-url: "):
        connection.connect(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:6379/0", "redis://host:6379/0"),
        ("rediss://host:6379/0?password=secret", "rediss://host:6379/0"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    """User and password are left out, wherever they stand."""
    assert connection.redacted(url) == shown


async def test_many_calls_at_once_wait_for_their_turn(store_url: str, namespace: str) -> None:
    """More calls than connections are served one after the other, not refused."""
    async with connection.connect(store_url) as client:
        store = RedisStore(client)
        found = await asyncio.gather(*(store.get(namespace, "topic", ["nobody"]) for _ in range(600)))
    assert found == [[None]] * 600
