"""What people ask and do about whole topics: counts, pause and resume."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from bloge_server.domain.work_item import TopicLimits
from bloge_server.store.redis_store import RedisStore

Setting = Literal["paused", "backlog_limit", "dead_letter_limit", "dead_letter_policy"]


class TopicView(NamedTuple):
    """A topic's counts and settings."""

    ready: int
    claimed: int
    retry_wait: int
    dead: int
    finished: int
    oldest_ready_ms: int
    """Age of the oldest ready item, since its enqueue; negative if there is none."""
    paused: bool
    limits: TopicLimits
    """What holds: the topic's own where it has them, else the server's."""
    oldest_dead_ms: int
    """Age of the oldest dead letter; negative if there is none."""
    unacknowledged: int
    """Outcomes that nobody acknowledged."""
    oldest_unacknowledged_ms: int
    """Age of the oldest of them; negative if there is none."""

    @property
    def dead_beyond_limit(self) -> int:
        """Dead letters beyond the limit."""
        return max(0, self.dead - self.limits.dead_letters) if self.limits.dead_letters else 0


async def describe(store: RedisStore, namespace: str, worker_topic: str) -> TopicView:
    """Return a topic's counts and settings; zeros for one that never was."""
    reply = await store.read("describe", namespace, worker_topic, [])
    ready, claimed, retry_wait, dead, finished, oldest_ready_ms, paused, backlog, dead_letters, policy, *ages = reply
    limits = TopicLimits(
        backlog if backlog >= 0 else store.limits.backlog,
        dead_letters if dead_letters >= 0 else store.limits.dead_letters,
        policy.decode() or store.limits.dead_letter_policy,
    )
    return TopicView(ready, claimed, retry_wait, dead, finished, oldest_ready_ms, bool(paused), limits, *ages)


async def configure(
    store: RedisStore, namespace: str, worker_topic: str, settings: Mapping[Setting, int | str | None]
) -> None:
    """Set what a topic has of its own, also before it has items; None gives a setting back to the server."""
    await store.announce_topic(namespace, worker_topic)
    args: list[int | str] = []
    for name, value in settings.items():
        args.extend((name, "" if value is None else value))
    await store.read("configure", namespace, worker_topic, args)
