"""Reads a store's address into what a client is made of. No I/O."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from redis.asyncio.connection import parse_url

from bloge_server.errors import StartupError

SINGLE, SENTINEL, CLUSTER = "", "sentinel", "cluster"
_FORMS = {
    **dict.fromkeys(("redis", "rediss", "unix"), SINGLE),
    **dict.fromkeys(("redis+sentinel", "rediss+sentinel"), SENTINEL),
    **dict.fromkeys(("redis+cluster", "rediss+cluster"), CLUSTER),
}
_DEFAULT_PORTS = {SINGLE: 6379, SENTINEL: 26379, CLUSTER: 6379}
_SENTINEL_CREDENTIALS = ("username", "password")


class StoreAddress(NamedTuple):
    """What an address says."""

    form: str
    """SINGLE, SENTINEL or CLUSTER."""
    transport: str
    """How nodes are reached: `redis` (TCP), `rediss` (TLS) or `unix`."""
    hosts: list[tuple[str, int]]
    """Nodes, or Sentinels; empty for a unix socket."""
    service: str
    """What Sentinel calls the store."""
    options: dict[str, Any]
    """Of each connection to a node."""
    sentinel_options: dict[str, Any]
    """Of each connection to a Sentinel: its own user and password, given as `sentinel_username` and so on."""


def redacted(url: str) -> str:
    """Return a store's address without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not an address)"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def parse(url: str) -> StoreAddress:
    """Return what an address says.

    Raises:
        StartupError: it is none.
    """
    scheme = url.partition("://")[0]
    if scheme not in _FORMS:
        raise StartupError(
            f"redis-url: {redacted(url)!r} must begin with one of {', '.join(each + '://' for each in _FORMS)}"
        )
    try:
        return _parsed(url, _FORMS[scheme], scheme.partition("+")[0])
    except (ValueError, TypeError) as error:
        raise StartupError(f"redis-url: {redacted(url)!r} is not an address: {error}") from error


def _parsed(url: str, form: str, transport: str) -> StoreAddress:
    parts = urlsplit(url)
    user, _, netloc = parts.netloc.rpartition("@")
    service, database = _service(parts.path) if form == SENTINEL else ("", parts.path)
    # redis-py knows how its options are written; it reads them from the address of the first node.
    hosts = [] if transport == "unix" else list(_hosts(netloc, _DEFAULT_PORTS[form]))
    plain = parts._replace(scheme=transport, netloc=f"{user}@" if user else "", path=database)
    options: dict[str, Any] = dict(parse_url(plain.geturl()))
    options.pop("connection_class", None)
    sentinel = {
        each: options.pop(f"sentinel_{each}") for each in _SENTINEL_CREDENTIALS if f"sentinel_{each}" in options
    }
    if form == CLUSTER and options.get("db"):
        raise ValueError("a cluster has one database only, number 0")
    return StoreAddress(form, transport, hosts, service, options, sentinel)


def _hosts(netloc: str, default_port: int) -> Iterator[tuple[str, int]]:
    for each in netloc.split(","):
        parts = urlsplit(f"//{each}")
        if not parts.hostname and "," in netloc:
            raise ValueError("there is an empty name between the commas")
        yield unquote(parts.hostname or "localhost"), parts.port or default_port


def _service(path: str) -> tuple[str, str]:
    """Return the service's name and the path of the database."""
    service, slash, database = path.lstrip("/").partition("/")
    if not service:
        raise ValueError("the name of the service is missing: redis+sentinel://host:26379/service")
    if database and not database.isdecimal():
        raise ValueError(f"the database must be a number, got {database!r}")
    return unquote(service), slash + database
