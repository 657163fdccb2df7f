"""Executions of graphs: each is a work item in its topic, a journal in a slot of its own, and an entry in a list.

The three stand in different slots, so no script can change them together. The item decides: an execution is there once
its item is, and gone once its item is. The record beside the journal is written before the item, so that nothing that
runs is unknown, and removed before it, so that no journal is left; the list is written last, and mended by whoever
finds it out of date.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.execution import (
    Execution,
    ExecutionRecord,
    ExecutionStatus,
    Facts,
    Listed,
    ListPlace,
    Recorded,
)
from bloge_server.domain.work_item import ClaimOrder, Lease, NewItem, StoredItem, SweepResult
from bloge_server.services.outcomes import Outcomes
from bloge_server.store.errors import backlog_full, unknown_schema
from bloge_server.store.execution_items import purge_items
from bloge_server.store.execution_list import ExecutionList
from bloge_server.store.journals import Journals, not_found
from bloge_server.store.redis_store import RedisStore

_LIST_STEPS = 20
"""How often one call reads on in the list, if what it looks for is rare."""
_PURGED_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class Started(NamedTuple):
    """What became of a start."""

    created: bool
    """False: it was there before."""
    worker_topic: str
    lease: Lease | None
    """Set if the caller owns it now."""


class ExecutionPage(NamedTuple):
    """Part of a list."""

    executions: list[Execution]
    place: ListPlace
    more: bool


class Executions:
    """The executions of a store.

    Args:
        store: where their items are.
        outcomes: brings their ends to those who wait.
    """

    def __init__(self, store: RedisStore, outcomes: Outcomes) -> None:
        self._store = store
        self._outcomes = outcomes
        self._journals = Journals(store.calls)
        self._list = ExecutionList(store.calls)

    async def start(
        self,
        namespace: str,
        execution_id: str,
        facts: Facts,
        item_for: Callable[[str], NewItem],
        order: ClaimOrder | None,
    ) -> Started:
        """Start an execution, or find the one that was started before.

        Args:
            namespace: of the execution.
            execution_id: its id.
            facts: what it is.
            item_for: makes its item for a topic.
            order: how the caller wants to own it; None: it does not.

        Raises:
            RemoteWorkersError: BACKLOG_FULL, STORE_UNAVAILABLE while an earlier one is being removed, or the store's.
        """
        recorded = await self._journals.record(namespace, execution_id, facts)
        topic = recorded.worker_topic
        (enqueued,) = await self._store.enqueue(namespace, topic, [item_for(topic)])
        await self._settle(namespace, execution_id, facts, recorded, enqueued.status)
        await self.moved(namespace, execution_id)
        lease = None
        if order is not None:
            claimed = await self._store.claim(namespace, topic, order._replace(item_id=execution_id))
            lease = next(iter(claimed.leases), None)
        return Started(enqueued.status == "CREATED", topic, lease)

    async def find(self, namespace: str, execution_id: str, wait_seconds: float = 0) -> Execution:
        """Return an execution, once it has ended or after a wait.

        Raises:
            RemoteWorkersError: NOT_FOUND, UNKNOWN_SCHEMA, or the store's.
        """
        execution = await self._find(namespace, execution_id)
        if wait_seconds and execution.item.state.outcome is None:
            topic = (namespace, execution.record.facts.worker_topic)
            await self._outcomes.await_outcome(topic, execution_id, wait_seconds)
            execution = await self._find(namespace, execution_id)
        return execution

    async def page(
        self, namespace: str, place: ListPlace, limit: int, status: ExecutionStatus | None, graph_name: str
    ) -> ExecutionPage:
        """Return executions after a place, latest first. What is listed wrongly is mended on the way."""
        found: list[Execution] = []
        for _ in range(_LIST_STEPS):
            page = await self._list.page(namespace, place, limit - len(found), status, graph_name)
            listed = await self._resolve(namespace, page.entries)
            found += [each for each in listed if status is None or each.status is status]
            place = page.place
            if not page.more or len(found) == limit:
                return ExecutionPage(found, place, page.more)
        return ExecutionPage(found, place, more=True)

    async def cancel(self, namespace: str, execution_id: str, reason: str) -> None:
        """Ask for cancellation; a dead letter is put back, so that an owner can carry it out.

        Raises:
            RemoteWorkersError: NOT_FOUND, WRONG_STATUS if it has ended otherwise, or the store's.
        """
        execution = await self._find(namespace, execution_id)
        topic = execution.record.facts.worker_topic
        if execution.status.ended and execution.status is not ExecutionStatus.CANCELLED:
            raise _has_ended(execution_id, execution.status)
        (acted,) = await self._store.cancel(namespace, topic, [execution_id], reason)
        if acted.answer == "HAS_OUTCOME":
            raise _has_ended(execution_id, acted.outcome)
        if acted.answer == "CANCEL_REQUESTED" and acted.status == "DEAD_LETTER":
            await self._store.replay(namespace, topic, [(execution_id, 0)])

    async def sweep(self, topics: Sequence[Topic]) -> list[SweepResult | RemoteWorkersError]:
        """Sweep topics that are together, and remove executions whose retention turns out to be over."""
        results = await self._store.sweep_each(topics)
        return [await self._purged(topic, result) for topic, result in zip(topics, results, strict=True)]

    async def _purged(self, topic: Topic, result: SweepResult | RemoteWorkersError) -> SweepResult | RemoteWorkersError:
        if isinstance(result, RemoteWorkersError) or not result.ended_executions:
            return result
        try:
            await self.purge(topic, result.ended_executions)
        except RemoteWorkersError as error:
            return error
        return result

    async def purge(self, topic: Topic, execution_ids: Sequence[str]) -> None:
        """Remove executions whose retention is over: the journal and the list's entry first, the item last.

        Whoever fails in between is followed by the next sweep of any server, which finds the item still there.
        """
        namespace, worker_topic = topic
        records = [each for each in await self._records(namespace, execution_ids) if each is not None]
        await self._list.forget(namespace, [(each.execution_id, each.start_ms) for each in records])
        await asyncio.gather(*(self._journals.purge(namespace, each) for each in execution_ids))
        await purge_items(self._store, namespace, worker_topic, execution_ids)

    async def moved(self, namespace: str, execution_id: str) -> None:
        """Note in the list that an execution stands elsewhere now; what fails is mended when its entry is met."""
        try:
            record = await self._journals.find(namespace, execution_id)
            if record is not None:
                await self._list.note(namespace, [record])
        except RemoteWorkersError as error:
            _log.warning("list of executions is behind", execution_id=execution_id, error=str(error))

    async def _settle(self, namespace: str, execution_id: str, facts: Facts, recorded: Recorded, enqueued: str) -> None:
        """Make record and item agree."""
        if enqueued == "FULL":
            if recorded.created:
                await self._journals.purge(namespace, execution_id)
            raise backlog_full(recorded.worker_topic)
        if enqueued == "UNKNOWN_SCHEMA":
            raise unknown_schema(execution_id)
        if enqueued == "CREATED" and not recorded.created:
            # An earlier start came no further than the record, and may have had another graph.
            await self._journals.record(namespace, execution_id, facts, replace=True)
        if enqueued != "CREATED" and recorded.created:
            await self._check_not_leaving(namespace, recorded.worker_topic, execution_id)

    async def _check_not_leaving(self, namespace: str, worker_topic: str, execution_id: str) -> None:
        """Refuse to start what a sweep is removing: its record is gone already, its item not yet."""
        (item,) = await self._store.get(namespace, worker_topic, [execution_id], brief=True)
        if item is None or item.state.outcome is not None:
            await self._journals.purge(namespace, execution_id)
            raise RemoteWorkersError(
                Reason.STORE_UNAVAILABLE,
                f"the earlier execution {execution_id!r} is just being removed; try again",
                retry_delay_seconds=_PURGED_SECONDS,
            )

    async def _find(self, namespace: str, execution_id: str) -> Execution:
        record = await self._journals.find(namespace, execution_id)
        if record is None:
            raise not_found(execution_id)
        (item,) = await self._store.get(namespace, record.facts.worker_topic, [execution_id])
        if item is None:
            raise not_found(execution_id)
        return Execution(record, item)

    async def _records(self, namespace: str, execution_ids: Iterable[str]) -> list[ExecutionRecord | None]:
        return await asyncio.gather(*(self._journals.find(namespace, each) for each in execution_ids))

    async def _resolve(self, namespace: str, entries: Sequence[Listed]) -> list[Execution]:
        """Return the executions of entries; forget entries of those that are gone, mend those that are behind."""
        records = await self._records(namespace, [each.execution_id for each in entries])
        items = await self._items(namespace, [each for each in records if each is not None])
        pairs = [(record, items.get(record.execution_id)) if record else (None, None) for record in records]
        executions = {record.execution_id: Execution(record, item) for record, item in pairs if record and item}
        gone = [(each.execution_id, each.start_ms) for each in entries if each.execution_id not in executions]
        behind = [each for each in entries if each.execution_id in executions]
        stale = [
            executions[each.execution_id] for each in behind if executions[each.execution_id].status != each.status
        ]
        await self._list.forget(namespace, gone)
        await self._list.note(namespace, [each.record._replace(status=each.status) for each in stale])
        return list(executions.values())

    async def _items(self, namespace: str, records: Sequence[ExecutionRecord]) -> dict[str, StoredItem]:
        """Return the items of executions by id, without their large parts; one call a topic."""
        found: dict[str, StoredItem] = {}
        for topic in {each.facts.worker_topic for each in records}:
            ids = [each.execution_id for each in records if each.facts.worker_topic == topic]
            items = await self._store.get(namespace, topic, ids, brief=True)
            found.update({item.item_id: item for item in items if item is not None})
        return found


def _has_ended(execution_id: str, status: str) -> RemoteWorkersError:
    return RemoteWorkersError(
        Reason.WRONG_STATUS,
        f"execution {execution_id!r} has ended: {status}",
        metadata={"status": str(status), "outcome": str(status)},
    )
