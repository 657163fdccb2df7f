"""Connects to a store and checks that it is one we can trust."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from bloge_server.errors import StartupError
from bloge_server.store import addresses
from bloge_server.store.addresses import StoreAddress, redacted
from bloge_server.store.cluster import Address, Cluster
from bloge_server.store.nodes import MAX_CONNECTIONS, Client, Node
from bloge_server.store.packing import CONNECTIONS, SENTINEL_CONNECTIONS

__all__ = ["Client", "check", "connect", "connected", "redacted"]

_MINIMUM_VERSION = 7
TIMEOUT_SECONDS = 5.0


def connect(url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Node | Cluster:
    """Return a client for an address; it connects when it is first used.

    Calls are not repeated by themselves: a claim that was carried out but not answered must not be claimed twice.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host,host/service`, `redis+cluster://host,host`.
        timeout_seconds: how long connecting, and each reply, may take.

    Raises:
        StartupError: the address is not one.
    """
    address = addresses.parse(url)
    limits = {
        "retry": Retry(NoBackoff(), 0),
        # With them on, pools hand out connections that the store has closed; each would cost a call.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
    }
    address = address._replace(options={**limits, **address.options})
    try:
        return _FORMS[address.form](address, timeout_seconds)
    except (ValueError, TypeError) as error:
        raise StartupError(f"redis-url: {redacted(url)!r} is not an address: {error}") from error


def _single(address: StoreAddress, timeout_seconds: float) -> Node:
    host = dict(zip(("host", "port"), address.hosts[0], strict=True)) if address.hosts else {}
    options: dict[str, Any] = {"max_connections": MAX_CONNECTIONS, **address.options, **host}
    pool = ConnectionPool(connection_class=CONNECTIONS[address.transport], **options)
    pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped; tells now what no connection takes
    return Node(Redis.from_pool(pool), timeout_seconds)


def _cluster(address: StoreAddress, timeout_seconds: float) -> Cluster:
    def node(at: Address) -> Node:
        return _single(address._replace(hosts=[at]), timeout_seconds)

    seeds = [Address(*host) for host in address.hosts]
    node(seeds[0])  # an option that no connection takes is told now
    return Cluster(seeds, node)


class _MasterPool(SentinelConnectionPool):
    """Connections to the master that Sentinel names; the connections to Sentinel are closed with them."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def _sentinel(address: StoreAddress, timeout_seconds: float) -> Node:
    to_sentinel = {name: address.options[name] for name in _OF_BOTH if name in address.options}
    if address.transport == "rediss":
        to_sentinel |= {name: value for name, value in address.options.items() if name.startswith("ssl_")}
        to_sentinel["ssl"] = True
    manager = Sentinel(address.hosts, sentinel_kwargs={**to_sentinel, **address.sentinel_options})  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    options: dict[str, Any] = {"max_connections": MAX_CONNECTIONS, **address.options}
    connection_class = SENTINEL_CONNECTIONS[address.transport]
    pool = _MasterPool(address.service, manager, connection_class=connection_class, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    return Node(Redis.from_pool(pool), timeout_seconds)


_OF_BOTH = ("retry", "maint_notifications_config", "socket_timeout", "socket_connect_timeout")
_FORMS: dict[str, Callable[[StoreAddress, float], Node | Cluster]] = {
    addresses.SINGLE: _single,
    addresses.SENTINEL: _sentinel,
    addresses.CLUSTER: _cluster,
}


async def check(client: Client, url: str) -> None:
    """Check that a store can keep the promises made of it, on each of its masters.

    Raises:
        StartupError: it cannot be reached, is too old, or may evict keys.
    """
    where = redacted(url)
    try:
        for node in await client.masters():
            check_node(await node.redis.info(), where, clustered=client.slots_move)
    except (RedisError, OSError) as error:
        raise StartupError(f"the store at {where} cannot be reached: {error}") from error


def check_node(info: dict[str, Any], where: str, *, clustered: bool) -> None:
    """Check what one node says of itself.

    Raises:
        StartupError: it is too old, may evict keys, or is (not) part of a cluster.
    """
    version = str(info.get("redis_version", "0"))
    if int(version.partition(".")[0]) < _MINIMUM_VERSION:
        raise StartupError(f"the store at {where} is Redis {version}; 7.0 or later, or Valkey, is needed")
    if bool(info.get("cluster_enabled")) and not clustered:
        raise StartupError(f"the store at {where} is part of a cluster; use redis+cluster:// (or rediss+cluster://)")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise StartupError(
            f"the store at {where} may evict keys (maxmemory-policy {policy}), which would lose work items;"
            " set it to noeviction: CONFIG SET maxmemory-policy noeviction"
        )


@asynccontextmanager
async def connected(url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> AsyncIterator[Node | Cluster]:
    """Yield a client of a store that was checked.

    Raises:
        StartupError: it cannot be used.
    """
    client = connect(url, timeout_seconds)
    try:
        await check(client, url)
        yield client
    finally:
        await client.aclose()
