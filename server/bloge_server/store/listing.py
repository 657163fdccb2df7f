"""Pages of a topic's items, read where they stand: by place, a bounded number in one call, never all at once."""

import json
from typing import Any, NamedTuple

from bloge_server.store.keys import Topic
from bloge_server.store.redis_store import RedisStore


class Place(NamedTuple):
    """Behind which member of an index to go on; members that come or go meanwhile do not matter."""

    score: str = ""
    """As the store writes it; empty: at the beginning."""
    item_id: str = ""
    """Empty: before all members of that score."""


BEGINNING = Place()


class Page(NamedTuple):
    """Some items of an index."""

    found: list[Place]
    place: Place
    """Behind the last one that was looked at."""
    more: bool
    """True if there may be more, also if nothing was found."""
    looked_at: int
    """How many items."""


class ItemQuery(NamedTuple):
    """Which items of an index."""

    stands_in: str
    """The index."""
    backwards: bool = False
    """From the end of the index to its beginning."""
    status: str = ""
    """Empty: any."""
    worker_id: str = ""
    """That holds or last held the item; empty: any."""


class DeadQuery(NamedTuple):
    """Which dead letters."""

    until_ms: int = 0
    """Dead-lettered before this instant; 0: at any time."""
    reason: str = ""
    """Empty: any."""
    error_type: str = ""
    """Type of the last failure; empty: any."""
    spec_parts: tuple[bytes, ...] = ()
    """Bytes that the description contains; who has found them has to look whether they mean what is wanted."""

    def arguments(self) -> list[int | str]:
        """Return what scripts take for it, but for the parts."""
        # Types are compared as JSON writes them in the history.
        return [self.until_ms, self.reason, json.dumps(self.error_type)[1:-1]]


class DeadGroup(NamedTuple):
    """Dead letters with the same reason and the same type of their last failure."""

    reason: str
    error_type: str
    """Empty: none of them has failed."""
    total: int
    settled: int
    """How many of them have an outcome: nobody waits for them."""
    first_ms: int
    last_ms: int
    last_id: str


class DeadGroups(NamedTuple):
    """Groups of the dead letters that one call looked at."""

    groups: list[DeadGroup]
    place: Place
    more: bool
    looked_at: int


async def items(
    store: RedisStore, topic: Topic, query: ItemQuery, *, after: Place = BEGINNING, look_at: int, limit: int
) -> Page:
    """Return a page of an index.

    Args:
        store: where the items live.
        topic: of the items.
        query: which items.
        after: the place of the page before.
        look_at: most items to look at.
        limit: most items to return.
    """
    args: list[int | str] = [
        *after,
        look_at,
        limit,
        query.stands_in,
        int(query.backwards),
        query.status,
        query.worker_id,
    ]
    return _page(await store.read("list_items", *topic, args))


async def dead(
    store: RedisStore, topic: Topic, query: DeadQuery, *, after: Place = BEGINNING, look_at: int, limit: int
) -> Page:
    """Return a page of dead letters, oldest first; takes what `items` takes."""
    args = [*after, look_at, *query.arguments(), limit, *query.spec_parts]
    return _page(await store.read("list_dead", *topic, args))


async def dead_groups(
    store: RedisStore, topic: Topic, query: DeadQuery, *, after: Place = BEGINNING, look_at: int
) -> DeadGroups:
    """Return groups of dead letters, in the order of their oldest ones; takes what `items` takes."""
    args = [*after, look_at, *query.arguments(), *query.spec_parts]
    score, item_id, more, looked_at, *found = await store.read("group_dead", *topic, args)
    groups = [
        DeadGroup(reason.decode(), json.loads(b'"%b"' % kind), total, settled, int(first), int(last), last_id.decode())
        for reason, kind, total, settled, first, last, last_id in found
    ]
    return DeadGroups(groups, Place(score.decode(), item_id.decode()), bool(more), looked_at)


def _page(reply: list[Any]) -> Page:
    score, item_id, more, looked_at, *found = reply
    words = [each.decode() for each in found]
    places = list(map(Place, words[::2], words[1::2]))
    return Page(places, Place(score.decode(), item_id.decode()), bool(more), looked_at)
