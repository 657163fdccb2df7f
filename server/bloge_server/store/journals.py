"""Journals of executions, each in a slot of its own beside the execution's record."""

from collections.abc import Sequence
from typing import Any, NoReturn

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.domain.execution import (
    ExecutionRecord,
    ExecutionStatus,
    Facts,
    JournalPage,
    Recorded,
    StoredEvent,
)
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.store import keys
from bloge_server.store.calls import Calls
from bloge_server.store.errors import unknown_execution_schema

SCHEMAS = frozenset({b"1"})
"""Schemas of records that this release reads, as `include/start.lua` has them."""

PAGE_EVENTS = 500
"""Events of a page, unless it is asked for fewer or more."""

PAGE_BYTES = 2_500_000
"""Most bytes of events in a page, so that it fits a reply; an event that is larger alone comes alone."""


class Journals:
    """The journals and records of all executions.

    Every method raises `RemoteWorkersError`: NOT_FOUND if there is no such execution, UNKNOWN_SCHEMA if a later release
    has written its record, STORE_UNAVAILABLE or STORE_FULL.

    Args:
        calls: the store.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def record(self, namespace: str, execution_id: str, facts: Facts, *, replace: bool = False) -> Recorded:
        """Record an execution that is about to be enqueued, if it is not recorded yet.

        Args:
            namespace: of the execution.
            execution_id: its id.
            facts: what it is.
            replace: take the graph of these facts if there is a record; its topic stays.
        """
        args = (int(replace), *facts)
        status, worker_topic, start_ms = await self._script("record_execution", namespace, execution_id, args)
        if status == b"UNKNOWN_SCHEMA":
            raise unknown_execution_schema(execution_id)
        return Recorded(status == b"CREATED", worker_topic.decode(), int(start_ms))

    async def find(self, namespace: str, execution_id: str) -> ExecutionRecord | None:
        """Return an execution's record; None if there is none."""
        key = keys.execution_keys(namespace, execution_id)[1]
        fields: dict[bytes, bytes] = await self._calls.command("HGETALL", key)
        if not fields:
            return None
        if fields[b"schema"] not in SCHEMAS:
            raise unknown_execution_schema(execution_id)
        return _record(execution_id, fields)

    async def open(self, namespace: str, token: LeaseToken) -> JournalPage:
        """Open a journal for a lease that was judged, closing it for every earlier one; return its beginning.

        Raises:
            RemoteWorkersError: FENCED_OFF if a later lease has opened it.
        """
        args = (token.fence, token.nonce, PAGE_EVENTS, PAGE_BYTES)
        reply = await self._script("open_journal", namespace, token.item_id, args)
        if reply[0] == b"FENCED_OFF":
            raise _fenced_off(token.item_id, reply[2])
        return _page(token.item_id, reply)

    async def append(
        self, token: LeaseToken, first_sequence: int, events: Sequence[bytes], ending: ExecutionStatus | None
    ) -> tuple[int, bool]:
        """Append events, all of them or none; what stands there already with the same contents is left alone.

        Args:
            token: the lease that has opened the journal.
            first_sequence: of the first event.
            events: their contents, at least one.
            ending: where the execution stands after the last event, if that one ends it.

        Returns:
            The next sequence number, and whether somebody waits for events.

        Raises:
            RemoteWorkersError: FENCED_OFF, SEQUENCE_MISMATCH, INVALID_TOKEN if this lease has not opened the journal,
                WRONG_STATUS if the execution has ended.
        """
        args = (token.fence, token.nonce, first_sequence, ending or "", *events)
        status, number, awaited = await self._script("append_events", token.namespace, token.item_id, args)
        if status != b"OK":
            _refuse(token.item_id, status, number)
        return int(number), bool(awaited)

    async def read(self, namespace: str, execution_id: str, first_sequence: int, most: int) -> JournalPage:
        """Return events from a sequence number on."""
        args = (first_sequence, most, PAGE_BYTES)
        return _page(execution_id, await self._script("read_events", namespace, execution_id, args))

    async def await_events(self, namespace: str, execution_id: str, wait_ms: int) -> None:
        """Have appends of the next `wait_ms` tell of themselves."""
        status, _ = await self._script("await_events", namespace, execution_id, (wait_ms,))
        if status != b"OK":
            _refuse(execution_id, status, b"0")

    async def purge(self, namespace: str, execution_id: str, *, least_age_ms: int = 0) -> bool:
        """Remove a journal and its record, if they are old enough; return whether they are gone."""
        return bool(await self._script("purge_journal", namespace, execution_id, (least_age_ms,)))

    async def _script(self, name: str, namespace: str, execution_id: str, args: Sequence[str | bytes | int]) -> Any:  # noqa: ANN401 - each script has its own reply
        return await self._calls.script(name, keys.execution_keys(namespace, execution_id), args)


def _page(execution_id: str, reply: Sequence[Any]) -> JournalPage:
    status, stands, next_sequence, *events = reply
    if status != b"OK":
        _refuse(execution_id, status, next_sequence)
    stored = [StoredEvent(int(sequence), int(at), contents) for sequence, at, contents in events]
    return JournalPage(ExecutionStatus(stands.decode()), int(next_sequence), stored)


def _record(execution_id: str, fields: dict[bytes, bytes]) -> ExecutionRecord:
    end_ms = fields.get(b"end_ms")
    return ExecutionRecord(
        execution_id=execution_id,
        facts=Facts(*(fields[name].decode() for name in (b"topic", b"graph_name", b"graph_hash", b"business_key"))),
        status=ExecutionStatus(fields[b"status"].decode()),
        start_ms=int(fields[b"start_ms"]),
        end_ms=None if end_ms is None else int(end_ms),
        next_sequence=int(fields[b"next"]),
    )


def _refuse(execution_id: str, status: bytes, number: bytes) -> NoReturn:
    match status:
        case b"NOT_FOUND":
            raise not_found(execution_id)
        case b"UNKNOWN_SCHEMA":
            raise unknown_execution_schema(execution_id)
        case b"FENCED_OFF":
            raise _fenced_off(execution_id, number)
        case b"NOT_OPEN":
            raise RemoteWorkersError(
                Reason.INVALID_TOKEN,
                f"this lease has not opened the journal of execution {execution_id!r}; open it first",
            )
        case b"SEQUENCE_MISMATCH":
            raise RemoteWorkersError(
                Reason.SEQUENCE_MISMATCH,
                f"the next event of execution {execution_id!r} is number {int(number)}; read the journal again",
                metadata={"next_sequence": number.decode()},
            )
        case _:
            message = f"execution {execution_id!r} has ended; its journal takes no more events"
            raise RemoteWorkersError(Reason.WRONG_STATUS, message)


def not_found(execution_id: str) -> RemoteWorkersError:
    """Return the refusal of an execution that is not there."""
    return RemoteWorkersError(Reason.NOT_FOUND, f"there is no execution {execution_id!r}, or its retention is over")


def _fenced_off(execution_id: str, fence: bytes) -> RemoteWorkersError:
    return RemoteWorkersError(
        Reason.FENCED_OFF,
        f"execution {execution_id!r} has a later owner; stop running it",
        metadata={"fence": fence.decode()},
    )
