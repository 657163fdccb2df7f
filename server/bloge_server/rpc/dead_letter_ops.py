"""The part of `OpsService` that is about items and dead letters: inspect, replay, discard, adopt."""

from collections.abc import AsyncIterator
from functools import partial

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.domain.work_item import Acted, StoredItem
from bloge_server.rpc import items
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.dead_letter_selection import (
    Place,
    Selection,
    check_filter,
    checked_ref,
    matches,
    place_of,
    refuse,
    selection_of,
)
from bloge_server.rpc.fields import Checks, check_size
from bloge_server.rpc.recorded import check_action, recorded
from bloge_server.store.actions import ActionLog
from bloge_server.store.redis_store import RedisStore

_PAGE = 50
_MAX_PAGE = 1000
_MAX_RATE = 10_000
_SCAN = 100
_ACT = 100


class DeadLetterOps:
    """Inspects and settles dead letters.

    Args:
        store: where items live.
        max_payload_bytes: the largest payload.
    """

    def __init__(self, store: RedisStore, max_payload_bytes: int) -> None:
        self._store = store
        self._log = ActionLog(store)
        self._max_payload_bytes = max_payload_bytes

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
    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest) -> pb.ListDeadLettersResponse:
        """List dead letters, topic by topic, oldest first."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        checks.optional_name("worker_topic", request.worker_topic, "")
        size = checks.number("page_size", request.page_size or _PAGE, 1, _MAX_PAGE)
        check_filter(checks, request.filter)
        checks.done()
        place = Place.parse(request.page_token)
        topics = [request.worker_topic] if request.worker_topic else await self._store.topics(namespace)
        response, room = pb.ListDeadLettersResponse(), items.PAGE_BYTES
        for topic in topics:
            if topic < place.worker_topic:
                continue
            start = place if topic == place.worker_topic else Place(topic)
            async for stored in self._matching(namespace, start, request.filter):
                listed = items.item(stored, payload=False)
                room -= listed.ByteSize()
                if len(response.items) == size or (response.items and room < 0):
                    response.next_page_token = place.token()
                    return response
                response.items.append(listed)
                place = place_of(stored)
        return response

    @unary
    async def ReplayDeadLetters(self, request: pb.ReplayDeadLettersRequest) -> pb.ReplayDeadLettersResponse:
        """Put dead letters back."""
        checks = Checks()
        selection = selection_of(checks, request)
        checks.number("rate_per_second", request.rate_per_second, 0, _MAX_RATE)
        if request.HasField("payload") and len(request.filter.item_ids) != 1:
            checks.wrong("payload", "may be given only with exactly one filter.item_ids")
        check_action(checks, request.action)
        checks.done()
        check_size("payload", len(request.payload), self._max_payload_bytes)
        if request.dry_run:
            return await self._replay(request, selection)
        place = (selection.namespace, selection.worker_topic)
        act = partial(self._replay, request, selection)
        return await recorded(self._log, "ReplayDeadLetters", place, request, pb.ReplayDeadLettersResponse, act)

    async def _replay(
        self, request: pb.ReplayDeadLettersRequest, selection: "Selection"
    ) -> pb.ReplayDeadLettersResponse:
        response = pb.ReplayDeadLettersResponse()
        await self._refuse_others(response, selection)
        waiting = []
        async for stored in self._selected(selection):
            if stored.state.outcome is None:
                waiting.append(stored.item_id)
            else:
                settled = Acted("WRONG_STATUS", stored.state.status, stored.state.outcome)
                refuse(response, selection, stored.item_id, settled)
        if request.dry_run:
            response.replayed_count = len(waiting)
            return response
        payload = request.payload if request.HasField("payload") else None
        rate = request.rate_per_second
        timed = [(item_id, index * 1000 // rate if rate else 0) for index, item_id in enumerate(waiting)]
        for start in range(0, len(timed), _ACT):
            batch = timed[start : start + _ACT]
            acted = await self._store.replay(selection.namespace, selection.worker_topic, batch, payload)
            for (item_id, _), each in zip(batch, acted, strict=True):
                if each.answer == "REPLAYED":
                    response.replayed_count += 1
                else:
                    refuse(response, selection, item_id, each)
        return response

    @unary
    async def DiscardDeadLetters(self, request: pb.DiscardDeadLettersRequest) -> pb.DiscardDeadLettersResponse:
        """Drop dead letters."""
        checks = Checks()
        selection = selection_of(checks, request)
        check_action(checks, request.action)
        checks.done()
        if request.dry_run:
            return await self._discard(request, selection)
        place = (selection.namespace, selection.worker_topic)
        act = partial(self._discard, request, selection)
        return await recorded(self._log, "DiscardDeadLetters", place, request, pb.DiscardDeadLettersResponse, act)

    async def _discard(
        self, request: pb.DiscardDeadLettersRequest, selection: "Selection"
    ) -> pb.DiscardDeadLettersResponse:
        response = pb.DiscardDeadLettersResponse()
        await self._refuse_others(response, selection)
        found = [stored.item_id async for stored in self._selected(selection)]
        if request.dry_run:
            response.discarded_count = len(found)
            return response
        for start in range(0, len(found), _ACT):
            batch = found[start : start + _ACT]
            acted = await self._store.discard(selection.namespace, selection.worker_topic, batch)
            for item_id, each in zip(batch, acted, strict=True):
                if each.answer == "DISCARDED":
                    response.discarded_count += 1
                else:
                    refuse(response, selection, item_id, each)
        return response

    @unary
    async def AdoptLateOutput(self, request: pb.AdoptLateOutputRequest) -> pb.AdoptLateOutputResponse:
        """Take a late output as the outcome."""
        checks = Checks()
        namespace, topic, item_id = checked_ref(checks, request.item)
        if request.fence <= 0:
            checks.wrong("fence", "must be the fence of one of the item's late outputs")
        check_action(checks, request.action)
        checks.done()
        place = (namespace, f"{topic}/{item_id}")
        act = partial(self._adopt, request, (namespace, topic, item_id))
        return await recorded(self._log, "AdoptLateOutput", place, request, pb.AdoptLateOutputResponse, act)

    async def _adopt(self, request: pb.AdoptLateOutputRequest, ref: tuple[str, str, str]) -> pb.AdoptLateOutputResponse:
        namespace, topic, item_id = ref
        acted = await self._store.adopt(namespace, topic, item_id, request.fence)
        if acted.answer != "ADOPTED":
            raise items.refusal(request.item, acted)
        (stored,) = await self._store.get(namespace, topic, [item_id])
        outcome = stored.outcome if stored else None
        return pb.AdoptLateOutputResponse(outcome=items.outcome(outcome) if outcome else None)

    async def _selected(self, selection: "Selection") -> AsyncIterator[StoredItem]:
        """Yield the dead letters of a selection."""
        count = 0
        start = Place(selection.worker_topic)
        async for stored in self._matching(selection.namespace, start, selection.criteria):
            if count == selection.max_items:
                return
            count += 1
            yield stored

    async def _matching(self, namespace: str, start: Place, criteria: pb.DeadLetterFilter) -> AsyncIterator[StoredItem]:
        """Yield the dead letters of a topic that match, from a place on."""
        while page := await self._page(namespace, start, list(dict.fromkeys(criteria.item_ids))):
            for stored in page:
                start = place_of(stored)
                if matches(stored, criteria):
                    yield stored

    async def _page(self, namespace: str, start: Place, named: list[str]) -> list[StoredItem]:
        """Return the next dead letters of a topic, only those that are named if any are."""
        ids = named
        if not named:
            listed = await self._store.list_dead(
                namespace, start.worker_topic, since_ms=start.since_ms, after_id=start.after_id, limit=_SCAN
            )
            ids = [item_id for _, item_id in listed]
        stored = await self._store.get(namespace, start.worker_topic, ids, brief=True) if ids else []
        dead = [each for each in stored if each is not None and each.dead_letter_ms is not None]
        return sorted((each for each in dead if place_of(each) > start), key=place_of)

    async def _refuse_others(
        self, response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse, selection: "Selection"
    ) -> None:
        """Refuse the named items that are no dead letters."""
        ids = list(dict.fromkeys(selection.criteria.item_ids))
        found = await self._store.get(selection.namespace, selection.worker_topic, ids, brief=True) if ids else []
        for item_id, stored in zip(ids, found, strict=True):
            if stored is None:
                refuse(response, selection, item_id, Acted("NOT_FOUND", "-", "-"))
            elif stored.dead_letter_ms is None:
                acted = Acted("WRONG_STATUS", stored.state.status, stored.state.outcome or "-")
                refuse(response, selection, item_id, acted)
