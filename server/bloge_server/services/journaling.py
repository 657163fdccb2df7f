"""What the owners of executions do with their journals, and what those who look on are shown."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.execution import ExecutionStatus, JournalPage, Ownership
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.services.executions import Executions
from bloge_server.services.heralds import Herald
from bloge_server.store import keys
from bloge_server.store.execution_items import judge_owner
from bloge_server.store.journals import Journals, not_found
from bloge_server.store.redis_store import RedisStore

_FALLBACK_SECONDS = 1.0
"""How long those who wait for events sleep before they look for themselves: a wake-up may be lost."""

_log = structlog.get_logger(__name__)


class Journaling:
    """The journals of a store.

    Args:
        store: where they are.
        executions: keeps the list up to date.
        on_topics: called with the topics whose news must be heard here.
    """

    def __init__(self, store: RedisStore, executions: Executions, on_topics: Callable[[Iterable[Topic]], None]) -> None:
        self._store = store
        self._executions = executions
        self._on_topics = on_topics
        self._journals = Journals(store.calls)
        self._waiting: defaultdict[tuple[str, str], set[asyncio.Event]] = defaultdict(set)

    async def open(self, token: LeaseToken) -> Ownership:
        """Open the journal of the execution that a lease is for.

        Raises:
            RemoteWorkersError: NOT_FOUND, FENCED_OFF, the reason why the lease does not stand, or the store's.
        """
        record = await self._journals.find(token.namespace, token.item_id)
        if record is None:
            raise not_found(token.item_id)
        judged = await judge_owner(self._store, token, record.next_sequence)
        if judged.verdict.reason is not None:
            raise RemoteWorkersError(
                judged.verdict.reason, f"the lease of execution {token.item_id!r} does not stand; stop running it"
            )
        beginning = await self._journals.open(token.namespace, token)
        if record.status is ExecutionStatus.PENDING:
            await self._executions.moved(token.namespace, token.item_id)
        return Ownership(beginning, judged.cancel_requested, judged.cancel_reason)

    async def append(
        self, token: LeaseToken, first_sequence: int, events: Sequence[bytes], ending: ExecutionStatus | None
    ) -> int:
        """Append events; return the next sequence number. Raises what `Journals.append` raises."""
        next_sequence, awaited = await self._journals.append(token, first_sequence, events, ending)
        if awaited:
            await self._herald(token)
        if ending is not None:
            await self._executions.moved(token.namespace, token.item_id)
        return next_sequence

    async def read(
        self, namespace: str, execution_id: str, first_sequence: int, most: int, wait_seconds: float
    ) -> JournalPage:
        """Return events from a sequence number on, waiting for the first unless the execution has ended.

        Raises:
            RemoteWorkersError: NOT_FOUND, UNKNOWN_SCHEMA, or the store's.
        """
        page = await self._journals.read(namespace, execution_id, first_sequence, most)
        if page.events or page.status.ended or wait_seconds <= 0:
            return page
        record = await self._journals.find(namespace, execution_id)
        if record is None:
            raise not_found(execution_id)
        self._on_topics([(namespace, record.facts.worker_topic)])
        end = asyncio.get_running_loop().time() + wait_seconds
        waiting, event = self._waiting[namespace, execution_id], asyncio.Event()
        waiting.add(event)
        try:
            await self._journals.await_events(namespace, execution_id, int(wait_seconds * 1000))
            while True:
                page = await self._journals.read(namespace, execution_id, first_sequence, most)
                left = end - asyncio.get_running_loop().time()
                if page.events or page.status.ended or left <= 0:
                    return page
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _FALLBACK_SECONDS)):
                        await event.wait()
                event.clear()
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop((namespace, execution_id), None)

    def heralded(self, topic: Topic, execution_id: str) -> None:
        """Wake those who wait for an execution's events."""
        for event in self._waiting.get((topic[0], execution_id), ()):
            event.set()

    async def _herald(self, token: LeaseToken) -> None:
        """Tell every server of new events; who is not told looks again after a while."""
        channel = keys.wake_channel(token.namespace, token.worker_topic)
        try:
            await self._store.command("SPUBLISH", channel, f"{Herald.JOURNAL} {token.item_id}")
        except RemoteWorkersError as error:
            _log.warning("new events are not heralded", execution_id=token.item_id, error=str(error))
