"""Reads dead letters that a filter means, page by page."""

from collections.abc import AsyncIterator, Sequence

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.domain.work_item import StoredItem
from bloge_server.rpc.dead_letter_selection import Place, Selection, beginning, matches, place_of, query_of
from bloge_server.store import listing
from bloge_server.store.listing import DeadGroups
from bloge_server.store.redis_store import RedisStore

_SCAN = 100
_LOOK_AT = 1_000
"""Dead letters that one call to the store looks at: some milliseconds of its time."""


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
        async for page in self._pages(namespace, start, criteria):
            for stored in page:
                if matches(stored, criteria):
                    yield stored

    async def groups(self, namespace: str, start: Place, criteria: pb.DeadLetterFilter) -> DeadGroups:
        """Return groups of some dead letters of a topic that match, from a place on."""
        topic = (namespace, start.worker_topic)
        return await listing.dead_groups(
            self._store, topic, query_of(criteria), after=_after(start, criteria), look_at=_LOOK_AT
        )

    async def _pages(
        self, namespace: str, start: Place, criteria: pb.DeadLetterFilter
    ) -> AsyncIterator[list[StoredItem]]:
        """Yield dead letters of a topic page by page, those that are named at once."""
        topic = (namespace, start.worker_topic)
        if criteria.item_ids:
            found = await self._dead(topic, list(dict.fromkeys(criteria.item_ids)))
            yield sorted((each for each in found if place_of(each) > start), key=place_of)
            return
        query, after, more = query_of(criteria), _after(start, criteria), True
        while more:
            page = await listing.dead(self._store, topic, query, after=after, look_at=_LOOK_AT, limit=_SCAN)
            after, more = page.place, page.more
            yield await self._dead(topic, [place.item_id for place in page.found])

    async def _dead(self, topic: tuple[str, str], item_ids: Sequence[str]) -> list[StoredItem]:
        """Return those items that are dead letters."""
        stored = await self._store.get(*topic, item_ids, brief=True) if item_ids else []
        return [each for each in stored if each is not None and each.dead_letter_ms is not None]


def _after(start: Place, criteria: pb.DeadLetterFilter) -> listing.Place:
    """Return where in the index to go on: not before what can match."""
    since = beginning(criteria)
    return listing.Place(str(start.since_ms), start.after_id) if start.since_ms >= since else listing.Place(str(since))
