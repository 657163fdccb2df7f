"""Connections that pack commands in C.

redis-py's asyncio connections pack in Python, argument by argument, which costs more than everything else around a
batch of hundreds of items; its blocking ones use hiredis for it. So do these.
"""

from typing import Any

from hiredis import pack_command
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection


class _Packing:
    """Overrides what turns a command into bytes."""

    def pack_command(self, *args: Any) -> list[bytes]:  # noqa: ANN401 - whatever a command takes
        """Return a command as Redis reads it."""
        return [pack_command(args)]


class PackingConnection(_Packing, Connection):
    """Over TCP."""


class PackingSSLConnection(_Packing, SSLConnection):
    """Over TLS."""


class PackingUnixConnection(_Packing, UnixDomainSocketConnection):
    """Over a unix socket."""


class PackingSentinelConnection(_Packing, SentinelManagedConnection):
    """Over TCP, to the master that Sentinel names."""


class PackingSentinelSSLConnection(_Packing, SentinelManagedSSLConnection):
    """Over TLS, to the master that Sentinel names."""


CONNECTIONS = {"redis": PackingConnection, "rediss": PackingSSLConnection, "unix": PackingUnixConnection}
"""By transport."""
SENTINEL_CONNECTIONS = {"redis": PackingSentinelConnection, "rediss": PackingSentinelSSLConnection}
"""By transport."""
