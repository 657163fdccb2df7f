"""Reads dead letters that a filter means, page by page."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.domain.work_item import StoredItem
from bloge_server.rpc.dead_letter_selection import Place, Selection, beginning, matches, place_of, query_of
from bloge_server.store import listing
from bloge_server.store.listing import DeadGroups
from bloge_server.store.redis_store import RedisStore

_SCAN = 100
_LOOK_AT = 1_000
"""Dead letters that one call to the store looks at: some milliseconds of its time."""


class Part(NamedTuple):
    """What one call found."""

    items: list[StoredItem]
    place: Place
    """Behind the last one that was looked at."""
    more: bool
    """True if there may be more."""
    looked_at: int
    """How many dead letters."""


class DeadLetterReader:
    """Dead letters of a store.

    Args:
        store: where they live.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def selected(self, selection: Selection) -> AsyncIterator[StoredItem]:
        """Yield the dead letters of a selection."""
        count = 0
        start = Place(selection.worker_topic)
        async for stored in self.matching(selection.namespace, start, selection.criteria):
            if count == selection.max_items:
                return
            count += 1
            yield stored

    async def batches(self, selection: Selection, size: int) -> AsyncIterator[list[StoredItem]]:
        """Yield the dead letters of a selection, so many at a time."""
        batch: list[StoredItem] = []
        async for stored in self.selected(selection):
            batch.append(stored)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    async def matching(self, namespace: str, start: Place, criteria: pb.DeadLetterFilter) -> AsyncIterator[StoredItem]:
        """Yield the dead letters of a topic that match, from a place on."""
        part = Part([], start, more=True, looked_at=0)
        while part.more:
            part = await self.part(namespace, part.place, criteria, _SCAN)
            for stored in part.items:
                if matches(stored, criteria):
                    yield stored

    async def part(self, namespace: str, start: Place, criteria: pb.DeadLetterFilter, limit: int) -> Part:
        """Return some dead letters of a topic that may match, from a place on: what one call to the store finds.

        Args:
            namespace: theirs.
            start: behind which to begin.
            criteria: which ones; all that are named at once.
            limit: most of them.
        """
        topic = (namespace, start.worker_topic)
        if criteria.item_ids:
            found = await self._dead(topic, list(dict.fromkeys(criteria.item_ids)))
            named = sorted((each for each in found if place_of(each) > start), key=place_of)
            return Part(named, start, more=False, looked_at=len(named))
        query, after = query_of(criteria), _after(start, criteria)
        page = await listing.dead(self._store, topic, query, after=after, look_at=_LOOK_AT, limit=limit)
        place = Place(start.worker_topic, int(page.place.score or 0), page.place.item_id)
        return Part(await self._dead(topic, [each.item_id for each in page.found]), place, page.more, page.looked_at)

    async def groups(self, namespace: str, start: Place, criteria: pb.DeadLetterFilter) -> DeadGroups:
        """Return groups of some dead letters of a topic that match, from a place on."""
        topic = (namespace, start.worker_topic)
        return await listing.dead_groups(
            self._store, topic, query_of(criteria), after=_after(start, criteria), look_at=_LOOK_AT
        )

    async def _dead(self, topic: tuple[str, str], item_ids: Sequence[str]) -> list[StoredItem]:
        """Return those items that are dead letters."""
        stored = await self._store.get(*topic, item_ids, brief=True) if item_ids else []
        return [each for each in stored if each is not None and each.dead_letter_ms is not None]


def _after(start: Place, criteria: pb.DeadLetterFilter) -> listing.Place:
    """Return where in the index to go on: not before what can match."""
    since = beginning(criteria)
    return listing.Place(str(start.since_ms), start.after_id) if start.since_ms >= since else listing.Place(str(since))
