"""The part of `OpsService` that settles dead letters: replay, discard, adopt."""

from functools import partial

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.domain.work_item import Acted
from bloge_server.rpc import items
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.dead_letter_acts import drop, fitting, put_back
from bloge_server.rpc.dead_letter_reader import DeadLetterReader
from bloge_server.rpc.dead_letter_selection import Selection, checked_ref, refuse, selection_of
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.payload_change import Change, change_of
from bloge_server.rpc.recorded import check_action, recorded
from bloge_server.store.actions import ActionLog
from bloge_server.store.redis_store import RedisStore

_MAX_RATE = 10_000
_ACT = 100


class DeadLetterOps:
    """Settles dead letters.

    Args:
        store: where items live.
        max_payload_bytes: the largest payload.
    """

    def __init__(self, store: RedisStore, max_payload_bytes: int) -> None:
        self._store = store
        self._log = ActionLog(store)
        self._letters = DeadLetterReader(store)
        self._max_payload_bytes = max_payload_bytes

    @unary
    async def ReplayDeadLetters(self, request: pb.ReplayDeadLettersRequest) -> pb.ReplayDeadLettersResponse:
        """Put dead letters back."""
        checks = Checks()
        selection = selection_of(checks, request)
        checks.number("rate_per_second", request.rate_per_second, 0, _MAX_RATE)
        change = change_of(checks, request, self._max_payload_bytes)
        check_action(checks, request.action)
        checks.done()
        if request.dry_run:
            return await self._replay(request, selection, change)
        place = (selection.namespace, selection.worker_topic)
        act = partial(self._replay, request, selection, change)
        return await recorded(self._log, "ReplayDeadLetters", place, request, pb.ReplayDeadLettersResponse, act)

    async def _replay(
        self, request: pb.ReplayDeadLettersRequest, selection: Selection, change: Change | None
    ) -> pb.ReplayDeadLettersResponse:
        response = pb.ReplayDeadLettersResponse()
        await self._refuse_others(response, selection)
        waiting = []
        async for stored in self._letters.selected(selection):
            if stored.state.outcome is None:
                waiting.append(stored.item_id)
            else:
                settled = Acted("WRONG_STATUS", stored.state.status, stored.state.outcome)
                refuse(response, selection, stored.item_id, settled)
        rate = request.rate_per_second
        timed = [(item_id, index * 1000 // rate if rate else 0) for index, item_id in enumerate(waiting)]
        if request.dry_run:
            fit = await fitting(self._store, selection, timed, response, change) if change else timed
            response.replayed_count = len(fit)
            return response
        for start in range(0, len(timed), _ACT):
            batch = timed[start : start + _ACT]
            await put_back(self._store, selection, batch, response, change)
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
        self, request: pb.DiscardDeadLettersRequest, selection: Selection
    ) -> pb.DiscardDeadLettersResponse:
        response = pb.DiscardDeadLettersResponse()
        await self._refuse_others(response, selection)
        found = [stored.item_id async for stored in self._letters.selected(selection)]
        if request.dry_run:
            response.discarded_count = len(found)
            return response
        for start in range(0, len(found), _ACT):
            await drop(self._store, selection, found[start : start + _ACT], response)
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

    async def _refuse_others(
        self, response: pb.ReplayDeadLettersResponse | pb.DiscardDeadLettersResponse, selection: Selection
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
