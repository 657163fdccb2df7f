"""Connects to a store and checks that it is one we can trust."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis as Client
from redis.asyncio.connection import ConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bloge_server.errors import StartupError
from bloge_server.store.packing import CONNECTIONS

__all__ = ["Client", "check", "connect", "connected", "redacted"]

_MINIMUM_VERSION = 7
_CONNECTIONS = 256


def redacted(url: str) -> str:
    """Return a store's address without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def connect(url: str) -> Client:
    """Return a client for an address; it connects when it is first used.

    Calls are not repeated by themselves: a claim that was carried out but not answered must not be claimed twice.

    Raises:
        StartupError: the address is not one.
    """
    scheme = url.partition("://")[0]
    if scheme not in CONNECTIONS:
        raise StartupError(
            f"redis-url: {redacted(url)!r} must begin with one of {', '.join(s + '://' for s in CONNECTIONS)}"
        )
    try:
        options: dict[str, Any] = dict(parse_url(url))
        options["connection_class"] = CONNECTIONS[scheme]
        pool = ConnectionPool(**options, retry=Retry(NoBackoff(), 0), max_connections=_CONNECTIONS)
    except (ValueError, TypeError) as error:
        raise StartupError(f"redis-url: {redacted(url)!r} is not an address: {error}") from error
    return Client.from_pool(pool)


async def check(client: Client, url: str) -> None:
    """Check that a store can keep the promises made of it.

    Raises:
        StartupError: it cannot be reached, is too old, or may evict keys.
    """
    where = redacted(url)
    try:
        server = await client.info("server")
        memory = await client.info("memory")
    except (RedisError, OSError) as error:
        raise StartupError(f"the store at {where} cannot be reached: {error}") from error
    version = str(server.get("redis_version", "0"))
    if int(version.partition(".")[0]) < _MINIMUM_VERSION:
        raise StartupError(f"the store at {where} is Redis {version}; 7.0 or later, or Valkey, is needed")
    policy = str(memory.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        raise StartupError(
            f"the store at {where} may evict keys (maxmemory-policy {policy}), which would lose work items;"
            " set it to noeviction: CONFIG SET maxmemory-policy noeviction"
        )


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """Yield a client of a store that was checked.

    Raises:
        StartupError: it cannot be used.
    """
    client = connect(url)
    try:
        await check(client, url)
        yield client
    finally:
        await client.aclose()
