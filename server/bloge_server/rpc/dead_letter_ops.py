"""The part of `OpsService` that is about items and dead letters: inspect, replay, discard, adopt."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bloge.remote_workers.errors import FieldViolation, Reason, RemoteWorkersError
from bloge.remote_workers.status import to_status
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.work_item import Acted, StoredItem
from bloge_server.rpc import items
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.fields import Checks, check_size
from bloge_server.store.redis_store import RedisStore

_PAGE = 50
_PAGE_BYTES = 2_500_000
"""A page ends before it is larger than a reply may be; long histories have many tracebacks."""
_MAX_PAGE = 1000
_MAX_ITEMS = 10_000
_DEFAULT_ITEMS = 500
_MAX_RATE = 10_000
_SCAN = 100
_ACT = 100
_REFUSALS_TOLD = 100
_MAX_FILTER_IDS = 500


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where a listing stands: after an item of a topic."""

    worker_topic: str = ""
    since_ms: int = 0
    after_id: str = ""

    def token(self) -> str:
        text = f"{self.worker_topic}/{self.since_ms}/{self.after_id}"
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def parse(cls, token: str) -> "_Place":
        if not token:
            return cls()
        try:
            topic, since, after = base64.urlsafe_b64decode(token).decode().split("/")
            return cls(topic, int(since), after)
        except ValueError as error:
            raise RemoteWorkersError(
                Reason.INVALID_FIELD,
                "page_token is not one",
                fields=(FieldViolation("page_token", "must be empty or from the previous page's reply"),),
            ) from error


def _place_of(stored: StoredItem) -> _Place:
    return _Place(stored.worker_topic, stored.dead_letter_ms or 0, stored.item_id)


class DeadLetterOps:
    """Inspects and settles dead letters.

    Args:
        store: where items live.
        max_payload_bytes: the largest payload.
    """

    def __init__(self, store: RedisStore, max_payload_bytes: int) -> None:
        self._store = store
        self._max_payload_bytes = max_payload_bytes

    @unary
    async def GetWorkItem(self, request: pb.GetWorkItemRequest) -> pb.GetWorkItemResponse:
        """Read one item with its history."""
        checks = Checks()
        namespace, topic, item_id = _ref(checks, request.item)
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
        _check_filter(checks, request.filter)
        checks.done()
        place = _Place.parse(request.page_token)
        topics = [request.worker_topic] if request.worker_topic else await self._store.topics(namespace)
        response, room = pb.ListDeadLettersResponse(), _PAGE_BYTES
        for topic in topics:
            if topic < place.worker_topic:
                continue
            start = place if topic == place.worker_topic else _Place(topic)
            async for stored in self._matching(namespace, start, request.filter):
                listed = items.item(stored, payload=False)
                room -= listed.ByteSize()
                if len(response.items) == size or (response.items and room < 0):
                    response.next_page_token = place.token()
                    return response
                response.items.append(listed)
                place = _place_of(stored)
        return response

    @unary
    async def ReplayDeadLetters(self, request: pb.ReplayDeadLettersRequest) -> pb.ReplayDeadLettersResponse:
        """Put dead letters back."""
        checks = Checks()
        selection = _selection(checks, request)
        rate = checks.number("rate_per_second", request.rate_per_second, 0, _MAX_RATE)
        if request.HasField("payload") and len(request.filter.item_ids) != 1:
            checks.wrong("payload", "may be given only with exactly one filter.item_ids")
        checks.done()
        check_size("payload", len(request.payload), self._max_payload_bytes)
        response = pb.ReplayDeadLettersResponse()
        await self._refuse_others(response, selection)
        found = [stored async for stored in self._selected(selection)]
        waiting = [stored for stored in found if stored.state.outcome is None]
        for stored in found:
            if stored.state.outcome is not None:
                _refuse(
                    response,
                    selection,
                    stored.item_id,
                    Acted("WRONG_STATUS", stored.state.status, stored.state.outcome),
                )
        if request.dry_run:
            response.replayed_count = len(waiting)
            return response
        payload = request.payload if request.HasField("payload") else None
        timed = [(stored.item_id, index * 1000 // rate if rate else 0) for index, stored in enumerate(waiting)]
        for start in range(0, len(timed), _ACT):
            batch = timed[start : start + _ACT]
            acted = await self._store.replay(selection.namespace, selection.worker_topic, batch, payload)
            for stored, each in zip(waiting[start : start + _ACT], acted, strict=True):
                if each.answer == "REPLAYED":
                    response.replayed_count += 1
                else:
                    _refuse(response, selection, stored.item_id, each)
        return response

    @unary
    async def DiscardDeadLetters(self, request: pb.DiscardDeadLettersRequest) -> pb.DiscardDeadLettersResponse:
        """Drop dead letters."""
        checks = Checks()
        selection = _selection(checks, request)
        checks.done()
        response = pb.DiscardDeadLettersResponse()
        await self._refuse_others(response, selection)
        found = [stored async for stored in self._selected(selection)]
        if request.dry_run:
            response.discarded_count = len(found)
            return response
        for start in range(0, len(found), _ACT):
            batch = found[start : start + _ACT]
            ids = [stored.item_id for stored in batch]
            acted = await self._store.discard(selection.namespace, selection.worker_topic, ids)
            for stored, each in zip(batch, acted, strict=True):
                if each.answer == "DISCARDED":
                    response.discarded_count += 1
                else:
                    _refuse(response, selection, stored.item_id, each)
        return response

    @unary
    async def AdoptLateOutput(self, request: pb.AdoptLateOutputRequest) -> pb.AdoptLateOutputResponse:
        """Take a late output as the outcome."""
        checks = Checks()
        namespace, topic, item_id = _ref(checks, request.item)
        if request.fence <= 0:
            checks.wrong("fence", "must be the fence of one of the item's late outputs")
        checks.done()
        acted = await self._store.adopt(namespace, topic, item_id, request.fence)
        if acted.answer != "ADOPTED":
            raise items.refusal(request.item, acted)
        (stored,) = await self._store.get(namespace, topic, [item_id])
        outcome = stored.outcome if stored else None
        return pb.AdoptLateOutputResponse(outcome=items.outcome(outcome) if outcome else None)

    async def _selected(self, selection: "_Selection") -> AsyncIterator[StoredItem]:
        """Yield the dead letters of a selection."""
        count = 0
        start = _Place(selection.worker_topic)
        async for stored in self._matching(selection.namespace, start, selection.criteria):
            if count == selection.max_items:
                return
            count += 1
            yield stored

    async def _matching(
        self, namespace: str, start: _Place, criteria: pb.DeadLetterFilter
    ) -> AsyncIterator[StoredItem]:
        """Yield the dead letters of a topic that match, from a place on."""
        while page := await self._page(namespace, start, list(dict.fromkeys(criteria.item_ids))):
            for stored in page:
                start = _place_of(stored)
                if _matches(stored, criteria):
                    yield stored

    async def _page(self, namespace: str, start: _Place, named: list[str]) -> list[StoredItem]:
        """Return the next dead letters of a topic, only those that are named if any are."""
        ids = named
        if not named:
            listed = await self._store.list_dead(
                namespace, start.worker_topic, since_ms=start.since_ms, after_id=start.after_id, limit=_SCAN
            )
            ids = [item_id for _, item_id in listed]
        stored = await self._store.get(namespace, start.worker_topic, ids) if ids else []
        dead = [each for each in stored if each is not None and each.dead_letter_ms is not None]
        return sorted((each for each in dead if _place_of(each) > start), key=_place_of)

    async def _refuse_others(
        self, response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse, selection: "_Selection"
    ) -> None:
        """Refuse the named items that are no dead letters."""
        ids = list(dict.fromkeys(selection.criteria.item_ids))
        found = await self._store.get(selection.namespace, selection.worker_topic, ids) if ids else []
        for item_id, stored in zip(ids, found, strict=True):
            if stored is None:
                _refuse(response, selection, item_id, Acted("NOT_FOUND", "-", "-"))
            elif stored.dead_letter_ms is None:
                acted = Acted("WRONG_STATUS", stored.state.status, stored.state.outcome or "-")
                _refuse(response, selection, item_id, acted)


@dataclass(frozen=True, slots=True)
class _Selection:
    """Dead letters to act on."""

    namespace: str
    worker_topic: str
    criteria: pb.DeadLetterFilter
    max_items: int


def _selection(checks: Checks, request: pb.ReplayDeadLettersRequest | pb.DiscardDeadLettersRequest) -> _Selection:
    namespace = checks.namespace(request.namespace)
    checks.name("worker_topic", request.worker_topic)
    max_items = checks.number("max_items", request.max_items or _DEFAULT_ITEMS, 1, _MAX_ITEMS)
    if request.filter == pb.DeadLetterFilter():
        checks.wrong("filter", "must have at least one criterion; acting on everything needs a deliberate one")
    _check_filter(checks, request.filter)
    return _Selection(namespace, request.worker_topic, request.filter, max_items)


def _check_filter(checks: Checks, criteria: pb.DeadLetterFilter) -> None:
    if len(criteria.item_ids) > _MAX_FILTER_IDS:
        checks.wrong("filter.item_ids", f"must have up to {_MAX_FILTER_IDS} entries")
    for index, item_id in enumerate(criteria.item_ids):
        checks.name(f"filter.item_ids[{index}]", item_id)


def _ref(checks: Checks, ref: work_item_pb2.WorkItemRef) -> tuple[str, str, str]:
    namespace = checks.namespace(ref.namespace, "item.namespace")
    return (
        namespace,
        checks.name("item.worker_topic", ref.worker_topic),
        checks.name("item.item_id", ref.item_id),
    )


def _refuse(
    response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse,
    selection: _Selection,
    item_id: str,
    acted: Acted,
) -> None:
    response.refused_count += 1
    if len(response.refusals) < _REFUSALS_TOLD:
        ref = work_item_pb2.WorkItemRef(
            namespace=selection.namespace, worker_topic=selection.worker_topic, item_id=item_id
        )
        response.refusals.add(item=ref, error=to_status(items.refusal(ref, acted)))


def _matches(stored: StoredItem, criteria: pb.DeadLetterFilter) -> bool:
    """Return whether a dead letter meets every criterion that is set."""
    spec = work_item_pb2.WorkItemSpec.FromString(stored.fields["spec"])
    at = stored.dead_letter_ms or 0
    return all(
        (
            not criteria.operator_ref or spec.operator_ref == criteria.operator_ref,
            not criteria.execution_id or spec.execution_id == criteria.execution_id,
            not criteria.reason or items.dead_letter_reason(stored.dead_reason) == criteria.reason,
            not criteria.error_type or items.last_error_type(stored) == criteria.error_type,
            not criteria.HasField("dead_letter_time_from") or at >= criteria.dead_letter_time_from.ToMilliseconds(),
            not criteria.HasField("dead_letter_time_until") or at < criteria.dead_letter_time_until.ToMilliseconds(),
        )
    )
