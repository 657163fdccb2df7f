"""The part of `OpsService` that reads items: one with its history, and lists by status."""

import re

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.lifecycle import INDEX_OF, Status
from bloge_server.rpc import items
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.dead_letter_selection import checked_ref
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.known import known_topic
from bloge_server.rpc.page_tokens import from_token, no_token, to_token
from bloge_server.store import listing
from bloge_server.store.listing import BEGINNING, ItemQuery, Page, Place
from bloge_server.store.redis_store import RedisStore

_PAGE = 50
_MAX_PAGE = 1000
_LOOK_AT = 2_000
"""Items that one call to the store looks at, in search of those that are wanted: some milliseconds of its time."""
_MOST_LOOKED_AT = 40_000
"""Of one page, however rare what is wanted is."""
_PLACE = re.compile(r"([-+.e\d]{1,32})/([A-Za-z0-9._-]{1,128})")
_FINISHED = "finished"
_STATUSES = {work_item_pb2.WorkItemStatus.Value(f"WORK_ITEM_STATUS_{status}"): status for status in Status}


class ItemOps:
    """Items of a store, for people.

    Args:
        store: where they live.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    @unary
    async def GetWorkItem(self, request: pb.GetWorkItemRequest) -> pb.GetWorkItemResponse:
        """Read one item with its history."""
        checks = Checks()
        namespace, topic, item_id = checked_ref(checks, request.item)
        checks.done()
        (stored,) = await self._store.get(namespace, topic, [item_id])
        if stored is None:
            raise items.not_found(request.item)
        return pb.GetWorkItemResponse(item=items.item(stored))

    @unary
    async def ListWorkItems(self, request: pb.ListWorkItemsRequest) -> pb.ListWorkItemsResponse:
        """List the items of a status: open ones in the order of their index, finished ones latest first."""
        checks = Checks()
        size = checks.number("page_size", request.page_size or _PAGE, 1, _MAX_PAGE)
        worker_id = checks.optional_name("worker_id", request.worker_id, "")
        status = _STATUSES.get(request.status)
        if status is None:
            checks.wrong("status", f"must be one of {', '.join(Status)}")
        checks.done()
        topic = await known_topic(self._store, request.namespace, request.worker_topic)
        query = _query(status or Status.READY, worker_id)
        page = await self._page(topic, query, _place(request.page_token), size)
        response = pb.ListWorkItemsResponse()
        cut = await self._fill(response, topic, page.found)
        if cut is not None or page.more:
            response.next_page_token = _token(cut or page.place)
        return response

    async def _page(self, topic: tuple[str, str], query: ItemQuery, after: Place, size: int) -> Page:
        """Return a page: some calls to the store, however rare what is wanted is."""
        chosen = bool(query.status or query.worker_id)
        page = Page([], after, more=True, looked_at=0)
        while page.looked_at < _MOST_LOOKED_AT:
            room = size - len(page.found)
            look_at = _LOOK_AT if chosen else room
            found = await listing.items(self._store, topic, query, after=page.place, look_at=look_at, limit=room)
            looked_at = page.looked_at + found.looked_at
            page = Page([*page.found, *found.found], found.place, found.more, looked_at)
            if not page.more or len(page.found) == size:
                break
        return page

    async def _fill(
        self, response: pb.ListWorkItemsResponse, topic: tuple[str, str], found: list[Place]
    ) -> Place | None:
        """Add items as far as they fit a reply; return the place of the last one if some do not."""
        room, last = items.PAGE_BYTES, None
        stored = await self._store.get(*topic, [place.item_id for place in found], brief=True) if found else []
        for place, each in zip(found, stored, strict=True):
            if each is not None:
                listed = items.item(each, payload=False)
                room -= listed.ByteSize()
                if response.items and room < 0:
                    return last
                response.items.append(listed)
            last = place
        return None


def _query(status: Status, worker_id: str) -> ItemQuery:
    if (index := INDEX_OF.get(status)) is not None:
        return ItemQuery(index, worker_id=worker_id)
    return ItemQuery(_FINISHED, backwards=True, status=status, worker_id=worker_id)


def _place(token: str) -> Place:
    if not token:
        return BEGINNING
    match = _PLACE.fullmatch(from_token(token))
    if match is None:
        raise no_token()
    try:
        float(match[1])
    except ValueError as error:
        raise no_token() from error
    return Place(match[1], match[2])


def _token(place: Place) -> str:
    return to_token(f"{place.score}/{place.item_id}")
