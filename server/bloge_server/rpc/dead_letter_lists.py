"""The part of `OpsService` that shows dead letters: one by one, and counted in groups."""

from collections.abc import Iterable
from typing import NamedTuple

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.domain.work_item import StoredItem
from bloge_server.rpc import items
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.dead_letter_reader import DeadLetterReader
from bloge_server.rpc.dead_letter_selection import Place, check_filter, matches
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.page_tokens import from_token
from bloge_server.store.listing import DeadGroup
from bloge_server.store.redis_store import RedisStore

_PAGE = 50
_MAX_PAGE = 1000
_MOST_AT_ONCE = 100
_LOOK_AT = 10_000
"""Dead letters that one page looks at, however rare what is wanted is: a tenth of a second of the store's time."""


class DeadLetterLists:
    """Dead letters, for people.

    Args:
        store: where they live.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._reader = DeadLetterReader(store)

    @unary
    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest) -> pb.ListDeadLettersResponse:
        """List dead letters, topic by topic, oldest first."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        checks.optional_name("worker_topic", request.worker_topic, "")
        size = checks.number("page_size", request.page_size or _PAGE, 1, _MAX_PAGE)
        check_filter(checks, request.filter)
        checks.done()
        place = Place.parse(request.page_token)
        response, room, looked_at = pb.ListDeadLettersResponse(), items.PAGE_BYTES, 0
        for topic in await self._topics(namespace, request.worker_topic, place):
            place, more = place if topic == place.worker_topic else Place(topic), True
            while more:
                if looked_at >= _LOOK_AT:
                    response.next_page_token = place.token()
                    return response
                part = await self._reader.part(namespace, place, request.filter, min(size + 1, _MOST_AT_ONCE))
                room = _fill(response, part.items, request.filter, _Bounds(size, room))
                if room < 0:
                    return response
                place, more, looked_at = part.place, part.more, looked_at + part.looked_at
        return response

    @unary
    async def GroupDeadLetters(self, request: pb.GroupDeadLettersRequest) -> pb.GroupDeadLettersResponse:
        """Count dead letters by topic, reason and error type."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        checks.optional_name("worker_topic", request.worker_topic, "")
        if request.filter.item_ids:
            checks.wrong("filter.item_ids", "must be empty: named items need no count")
        check_filter(checks, request.filter)
        checks.done()
        token = from_token(request.page_token)
        place = Place.parse(request.page_token) if token else Place()
        response, looked_at = pb.GroupDeadLettersResponse(), 0
        for topic in await self._topics(namespace, request.worker_topic, place):
            start, more = place if topic == place.worker_topic else Place(topic), True
            while more:
                if looked_at >= _LOOK_AT:
                    response.next_page_token = start.token()
                    return response
                found = await self._reader.groups(namespace, start, request.filter)
                _merge(response, topic, found.groups)
                start, more = Place(topic, int(found.place.score or 0), found.place.item_id), found.more
                looked_at += found.looked_at
        return response

    async def _topics(self, namespace: str, worker_topic: str, place: Place) -> list[str]:
        """Return the topics from a place on, or the one that is asked for."""
        topics = [worker_topic] if worker_topic else await self._store.topics(namespace)
        return [topic for topic in topics if topic >= place.worker_topic]


class _Bounds(NamedTuple):
    size: int
    """Most items of a page."""
    room: int
    """Bytes that are left."""


def _fill(
    response: pb.ListDeadLettersResponse, found: Iterable[StoredItem], criteria: pb.DeadLetterFilter, bounds: _Bounds
) -> int:
    """Add dead letters to a page; return the bytes that are left, negative once it is full and its token is set."""
    room = bounds.room
    for stored in found:
        if not matches(stored, criteria):
            continue
        listed = items.item(stored, payload=False)
        room -= listed.ByteSize()
        if len(response.items) == bounds.size or (response.items and room < 0):
            last = response.items[-1]
            place = Place(last.item.worker_topic, last.dead_letter_time.ToMilliseconds(), last.item.item_id)
            response.next_page_token = place.token()
            return -1
        response.items.append(listed)
    return max(0, room)


def _merge(response: pb.GroupDeadLettersResponse, topic: str, groups: list[DeadGroup]) -> None:
    """Add groups of one call to those of earlier ones."""
    known = {(each.worker_topic, each.reason, each.error_type): each for each in response.groups}
    for group in groups:
        reason = items.dead_letter_reason(group.reason)
        total = known.get((topic, reason, group.error_type))
        if total is None:
            total = response.groups.add(worker_topic=topic, reason=reason, error_type=group.error_type)
            total.first_time.FromMilliseconds(group.first_ms)
        total.count += group.total
        total.settled_count += group.settled
        total.last_time.FromMilliseconds(group.last_ms)
        total.last_item_id = group.last_id
