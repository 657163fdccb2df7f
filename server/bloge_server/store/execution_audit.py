"""Proves that executions, their journals and their list agree, which no script can hold: their slots differ."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.execution import ExecutionRecord, ExecutionStatus, ListPlace
from bloge_server.store import keys
from bloge_server.store.execution_list import ExecutionList
from bloge_server.store.findings import Finding, Step
from bloge_server.store.journals import Journals
from bloge_server.store.redis_store import RedisStore

_STEP = 100
_SCAN = 1000
_LEAST_AGE_MS = 60_000
"""How old a record must be to be removed because it has no item: a start writes the one just before the other."""


class ExecutionAuditor:
    """Walks the journals with their records, then the list, of a namespace.

    Args:
        store: the store.
        namespace: whose executions.
        worker_topic: only those of this topic; empty for all.
        repair: put right what can be put right.
    """

    def __init__(self, store: RedisStore, namespace: str, worker_topic: str, *, repair: bool) -> None:
        self._store = store
        self._journals = Journals(store.calls)
        self._list = ExecutionList(store.calls)
        self._namespace = namespace
        self._topic = worker_topic
        self._repair = repair

    async def run(self) -> AsyncIterator[Step]:
        """Yield the steps."""
        waiting: list[str] = []
        async for execution_id in self._ids():
            waiting.append(execution_id)
            if len(waiting) == _STEP:
                yield await self._check(waiting)
                waiting = []
        yield await self._check(waiting)
        async for step in self._walk_list():
            yield step

    async def _ids(self) -> AsyncIterator[str]:
        """Yield the executions that have a journal or a record; some twice."""
        pattern = keys.execution_base(self._namespace, "*") + "*"
        async for key in self._store.calls.scan(pattern, _SCAN):
            yield key[key.index("/x/") + 3 : key.index("}")]

    async def _walk_list(self) -> AsyncIterator[Step]:
        """Look for entries of executions that are not there."""
        place, more = ListPlace(), True
        while more:
            page = await self._list.page(self._namespace, place, _STEP, None, "")
            place, more = page.place, page.more
            records = await self._records([each.execution_id for each in page.entries])
            gone = [entry for entry in page.entries if records.get(entry.execution_id, entry) is None]
            if self._repair:
                await self._list.forget(self._namespace, [(each.execution_id, each.start_ms) for each in gone])
            findings = [self._finding("", each.execution_id, "no record, but stands in the list") for each in gone]
            yield Step(len(page.entries), [] if self._topic else findings)

    async def _check(self, execution_ids: Sequence[str]) -> Step:
        records = await self._records(execution_ids)
        lost = [] if self._topic else [each for each, record in records.items() if record is None]
        known = [record for record in records.values() if record and self._topic in ("", record.facts.worker_topic)]
        without_items = await self._without_items(known)
        findings = [await self._remove("", each, "a journal without its record") for each in lost]
        for record in without_items:
            problem = "a journal without its work item"
            findings.append(await self._remove(record.facts.worker_topic, record.execution_id, problem))
        listed = [record for record in known if record not in without_items]
        return Step(len(execution_ids), findings + await self._check_listed(listed))

    async def _records(self, execution_ids: Sequence[str]) -> dict[str, ExecutionRecord | None]:
        """Return records by id, None where there is none; those that only a later release reads are left out."""
        found = await asyncio.gather(
            *(self._journals.find(self._namespace, each) for each in execution_ids), return_exceptions=True
        )
        records: dict[str, ExecutionRecord | None] = {}
        for execution_id, record in zip(execution_ids, found, strict=True):
            if not isinstance(record, BaseException):
                records[execution_id] = record
            elif not isinstance(record, RemoteWorkersError) or record.reason is not Reason.UNKNOWN_SCHEMA:
                raise record
        return records

    async def _without_items(self, records: Sequence[ExecutionRecord]) -> list[ExecutionRecord]:
        missing: list[ExecutionRecord] = []
        for topic in {each.facts.worker_topic for each in records}:
            of_topic = [each for each in records if each.facts.worker_topic == topic]
            ids = [each.execution_id for each in of_topic]
            items = await self._store.get(self._namespace, topic, ids, brief=True)
            missing += [each for each, item in zip(of_topic, items, strict=True) if item is None]
        return missing

    async def _check_listed(self, records: Sequence[ExecutionRecord]) -> list[Finding]:
        """Find executions that the list does not have, or has where they stood before."""
        entries = await asyncio.gather(*(self._list.entry(self._namespace, each) for each in records))
        behind = [
            (record, status) for record, status in zip(records, entries, strict=True) if _is_behind(status, record)
        ]
        if self._repair:
            await self._list.note(self._namespace, [record for record, _ in behind])
        return [
            self._finding(
                record.facts.worker_topic,
                record.execution_id,
                f"{record.status}, but is listed as {status}" if status else f"{record.status}, but is not in the list",
            )
            for record, status in behind
        ]

    async def _remove(self, worker_topic: str, execution_id: str, problem: str) -> Finding:
        gone = self._repair and await self._journals.purge(self._namespace, execution_id, least_age_ms=_LEAST_AGE_MS)
        return self._finding(worker_topic, execution_id, problem)._replace(repaired=gone)

    def _finding(self, worker_topic: str, execution_id: str, problem: str) -> Finding:
        return Finding(self._namespace, worker_topic, execution_id, problem, repaired=self._repair)


def _is_behind(listed: ExecutionStatus | None, record: ExecutionRecord) -> bool:
    """Tell whether an entry stands before its record. It may stand behind: an item that was discarded has ended."""
    return listed is None or (listed is not record.status and not listed.ended)
