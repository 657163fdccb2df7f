"""What happens in a topic at the moment, on all servers together: a ring of slots that each server adds to."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bloge_server.store.keys import Topic
from bloge_server.store.redis_store import RedisStore

SLOT_SECONDS = 10
SLOTS = 90
"""A quarter of an hour."""


class Counts(NamedTuple):
    """How often what happened in one slot. Later releases may count more; the order stays."""

    enqueued: int = 0
    completed: int = 0
    """Outcomes COMPLETED."""
    failed: int = 0
    """Attempts that failed or took too long, whether a retry or a dead letter followed."""
    accepted: int = 0
    """Reports that were accepted."""
    rejected: int = 0
    leases_lost: int = 0


NOTHING = Counts()


async def add(store: RedisStore, topic: Topic, counts: Counts) -> None:
    """Add to the slot of this moment."""
    await store.read("count_throughput", *topic, [SLOT_SECONDS * 1000, SLOTS, *counts])


async def read(store: RedisStore, topic: Topic) -> list[Counts]:
    """Return the slots that are over and the running one, oldest first."""
    now_ms, *slots = await store.read("read_throughput", *topic, [])
    return _in_order(now_ms, [tuple(map(int, slot.split())) for slot in slots])


def _in_order(now_ms: int, slots: Sequence[Sequence[int]]) -> list[Counts]:
    last = now_ms // (SLOT_SECONDS * 1000)
    by_number: Mapping[int, Sequence[int]] = {number: counted for number, *counted in slots}
    found = (by_number.get(number, ()) for number in range(last - SLOTS + 1, last + 1))
    return [Counts(*counted[: len(NOTHING)]) for counted in found]
