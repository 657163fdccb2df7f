"""Which stores a server trusts."""

import asyncio
from pathlib import Path

import pytest
from redis import Redis

from bloge_server.errors import StartupError
from bloge_server.store import addresses, connection
from bloge_server.store.redis_store import RedisStore
from support.store_process import running_store
from support.tcp_store import TcpStore


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


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "localhost:6379",
        "",
        "redis://host:port",
        "redis://[::1",
        "redis://host?no_such_option=1",
        "redis+cluster://a:1,:2",
        "redis+cluster://a:1/3",
        "redis+cluster://a:1?no_such_option=1",
        "redis+sentinel://a:1",
        "redis+sentinel://a:1/service/name",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """Before anything is tried."""
    with pytest.raises(StartupError, match="redis-url: "):
        connection.connect(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:6379/0", "redis://host:6379/0"),
        ("rediss://host:6379/0?password=secret", "rediss://host:6379/0"),
        ("redis+cluster://:secret@a:1,b:2", "redis+cluster://a:1,b:2"),
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


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", ("", "redis", [("localhost", 6379)], "", {}, {})),
        ("rediss://u:p%40@h:1/2", ("", "rediss", [("h", 1)], "", {"username": "u", "password": "p@", "db": 2}, {})),
        ("unix:///s?db=1", ("", "unix", [], "", {"path": "/s", "db": 1}, {})),
        ("redis+cluster://a:1,[::1]:2,b", ("cluster", "redis", [("a", 1), ("::1", 2), ("b", 6379)], "", {}, {})),
        ("rediss+sentinel://a,b:2/s/3", ("sentinel", "rediss", [("a", 26379), ("b", 2)], "s", {"db": 3}, {})),
        (
            "redis+sentinel://:p@a/s?sentinel_password=q",
            ("sentinel", "redis", [("a", 26379)], "s", {"password": "p"}, {"password": "q"}),
        ),
    ],
)
def test_addresses_say_where_and_how(url: str, expected: tuple[object, ...]) -> None:
    """Nodes or Sentinels, the name of the service, the options of connections."""
    assert tuple(addresses.parse(url)) == expected


def test_what_a_node_says_of_itself_is_checked() -> None:
    """Its version, and that it is part of a cluster exactly if we take it for one."""
    with pytest.raises(StartupError, match=r"is Redis 6\.2\.0; 7\.0 or later"):
        connection.check_node({"redis_version": "6.2.0"}, "there", clustered=False)
    with pytest.raises(StartupError, match=r"use redis\+cluster://"):
        connection.check_node({"redis_version": "7.0.0", "cluster_enabled": 1}, "there", clustered=False)
    connection.check_node({"redis_version": "7.0.0", "cluster_enabled": 1}, "there", clustered=True)


async def test_a_single_store_is_no_cluster(tmp_path: Path) -> None:
    """It is told what the node says."""
    store = TcpStore(tmp_path)
    try:
        store.start()
        with pytest.raises(StartupError, match="cluster support disabled"):
            await check(f"redis+cluster://127.0.0.1:{store.port}")
    finally:
        store.close()
