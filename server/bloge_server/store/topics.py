"""What people ask and do about whole topics: counts, pause and resume."""

from typing import NamedTuple

from bloge_server.store import keys
from bloge_server.store.redis_store import RedisStore


class TopicView(NamedTuple):
    """A topic's counts and settings."""

    ready: int
    claimed: int
    retry_wait: int
    dead: int
    finished: int
    oldest_ready_ms: int
    """Age of the ready item that is next; negative if there is none."""
    paused: bool
    backlog_limit: int
    """Negative: as the server says."""


async def describe(store: RedisStore, namespace: str, worker_topic: str) -> TopicView:
    """Return a topic's counts and settings; zeros for one that never was."""
    reply: list[int] = await store.read("describe", namespace, worker_topic, [])
    ready, claimed, retry_wait, dead, finished, oldest_ready_ms, paused, backlog_limit = reply
    return TopicView(ready, claimed, retry_wait, dead, finished, oldest_ready_ms, bool(paused), backlog_limit)


async def set_paused(store: RedisStore, namespace: str, worker_topic: str, *, paused: bool) -> None:
    """Stop claims of a topic, or allow them again; held leases go on."""
    await store.read("set_paused", namespace, worker_topic, [int(paused)])


async def ids_in(store: RedisStore, namespace: str, worker_topic: str, index: str, start: int, limit: int) -> list[str]:
    """Return ids from an index, in its order, from a position on."""
    key = keys.topic_base(namespace, worker_topic) + index
    found: list[bytes] = await store.command("ZRANGE", key, start, start + limit - 1)
    return [member.decode() for member in found]
