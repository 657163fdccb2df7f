"""One batch of dead letters put back or dropped, and the two done step by step over as many as there are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.work_item import Acted
from bloge_server.rpc.dead_letter_reader import DeadLetterReader
from bloge_server.rpc.dead_letter_selection import Selection, note, refuse, selection_of
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.payload_change import Change, change_of, changed
from bloge_server.rpc.recorded import check_action, detail_of
from bloge_server.store import keys
from bloge_server.store.actions import Action, ActionLog
from bloge_server.store.redis_store import RedisStore


async def put_back(
    store: RedisStore,
    selection: Selection,
    timed: Sequence[tuple[str, int]],
    response: pb.ReplayDeadLettersResponse,
    change: Change | None = None,
) -> None:
    """Replay some dead letters, each after a delay (ms); tell in the response what became of them."""
    place = (selection.namespace, selection.worker_topic)
    if change is None:
        told(response, selection, timed, await store.replay(*place, timed))
        return
    for each, payload in await fitting(store, selection, timed, response, change):
        told(response, selection, [each], await store.replay(*place, [each], payload))


async def fitting(
    store: RedisStore,
    selection: Selection,
    timed: Sequence[tuple[str, int]],
    response: pb.ReplayDeadLettersResponse,
    change: Change,
) -> list[tuple[tuple[str, int], bytes]]:
    """Return the dead letters that can have a new payload, with it; refuse the others in the response."""
    place = (selection.namespace, selection.worker_topic)
    found = []
    payloads = await changed(store, place, [item_id for item_id, _ in timed], change)
    for each, payload in zip(timed, payloads, strict=True):
        if isinstance(payload, RemoteWorkersError):
            ref = work_item_pb2.WorkItemRef(namespace=place[0], worker_topic=place[1], item_id=each[0])
            note(response, ref, payload)
        else:
            found.append((each, payload))
    return found


def told(
    response: pb.ReplayDeadLettersResponse,
    selection: Selection,
    timed: Sequence[tuple[str, int]],
    acted: Sequence[Acted],
) -> None:
    """Tell in the response what became of replayed dead letters."""
    for (item_id, _), each in zip(timed, acted, strict=True):
        if each.answer == "REPLAYED":
            response.replayed_count += 1
        else:
            refuse(response, selection, item_id, each)


async def drop(
    store: RedisStore, selection: Selection, item_ids: Sequence[str], response: pb.DiscardDeadLettersResponse
) -> None:
    """Discard some dead letters; tell in the response what became of them."""
    acted = await store.discard(selection.namespace, selection.worker_topic, item_ids)
    for item_id, each in zip(item_ids, acted, strict=True):
        if each.answer == "DISCARDED":
            response.discarded_count += 1
        else:
            refuse(response, selection, item_id, each)


class DeadLetterSteps:
    """Acts on all dead letters that a filter means, however many, recorded once. Only in this process.

    Whoever asks takes step after step, as fast as wanted, and may stop after any. What becomes a dead letter after the
    first step is left alone.

    Args:
        store: where items live.
        max_payload_bytes: the largest payload.
    """

    def __init__(self, store: RedisStore, max_payload_bytes: int) -> None:
        self._store = store
        self._max_payload_bytes = max_payload_bytes
        self._log = ActionLog(store)
        self._letters = DeadLetterReader(store)

    async def replay_in_steps(
        self, request: pb.ReplayDeadLettersRequest, step_items: int, most: int
    ) -> AsyncIterator[pb.ReplayDeadLettersResponse]:
        """Put dead letters back, at most so many in a step and altogether; yield what each step did.

        Raises:
            RemoteWorkersError: INVALID_FIELD, or the store cannot be reached; steps that were taken are done.
        """
        checks = Checks()
        change = change_of(checks, request, self._max_payload_bytes)
        checks.done()
        selection = await self._begin("ReplayDeadLetters", request, most)
        async for batch in self._letters.batches(selection, step_items):
            response = pb.ReplayDeadLettersResponse()
            await put_back(self._store, selection, [(each.item_id, 0) for each in batch], response, change)
            yield response

    async def discard_in_steps(
        self, request: pb.DiscardDeadLettersRequest, step_items: int, most: int
    ) -> AsyncIterator[pb.DiscardDeadLettersResponse]:
        """Drop dead letters, at most so many in a step; yields and raises what `replay_in_steps` does."""
        selection = await self._begin("DiscardDeadLetters", request, most)
        async for batch in self._letters.batches(selection, step_items):
            response = pb.DiscardDeadLettersResponse()
            await drop(self._store, selection, [each.item_id for each in batch], response)
            yield response

    async def _begin(
        self, verb: str, request: pb.ReplayDeadLettersRequest | pb.DiscardDeadLettersRequest, most: int
    ) -> Selection:
        """Check and record an act; return what it selects now, at most so many."""
        checks = Checks()
        selection = selection_of(checks, request)
        check_action(checks, request.action)
        checks.done()
        who, place = request.action, (selection.namespace, selection.worker_topic)
        await self._log.begin(Action(place[0], verb, place[1], who.actor, who.reason, "", b"", detail_of(request)))
        criteria = pb.DeadLetterFilter()
        criteria.CopyFrom(selection.criteria)
        now_ms = await self._store.now_ms(keys.topic_base(*place))
        if not criteria.HasField("dead_letter_time_until") or criteria.dead_letter_time_until.ToMilliseconds() > now_ms:
            criteria.dead_letter_time_until.FromMilliseconds(now_ms)
        return replace(selection, criteria=criteria, max_items=most)
