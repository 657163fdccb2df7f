"""The journal of an execution at the server, held by the owner of its lease."""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_orchestrator.batches import batches
from bloge_orchestrator.errors import FencedOffError
from bloge_orchestrator.execution.events import Event
from bloge_orchestrator.execution.journal import BATCH_BYTES, BATCH_EVENTS, from_message, to_message
from bloge_orchestrator.execution.state import ExecutionState, fold
from bloge_orchestrator.execution_client import ExecutionClient
from bloge_orchestrator.patience import Patience

_REPLACED = frozenset(
    {
        Reason.FENCED_OFF,
        Reason.SUPERSEDED,
        Reason.LEASE_EXPIRED,
        Reason.OFFER_WITHDRAWN,
        Reason.CANCELLED,
        Reason.ALREADY_DONE_BY_OTHER,
        Reason.DEAD_LETTERED,
        Reason.CONFLICTING_REPORT,
    }
)
"""Refusals that say: somebody else owns the execution, or nobody does."""

_log = logging.getLogger("bloge_orchestrator")


@dataclass(frozen=True, slots=True)
class Opened:
    """A journal that was opened, and what it holds."""

    journal: "RemoteJournal"
    state: ExecutionState
    cancel_reason: str | None
    """Why cancellation was asked for; None if it was not."""
    max_output_bytes: int
    """The largest output that the execution may be completed with."""


class RemoteJournal:
    """Appends under a lease. Waits, for as long as the lease lasts, for a server that is away.

    Args:
        client: The server.
        lease_token: The token of the execution's lease.
        execution_id: The execution, for messages.
        random: Spreads the tries.
    """

    def __init__(self, client: ExecutionClient, lease_token: str, execution_id: str, random: Random) -> None:
        self._client = client
        self._token = lease_token
        self._execution_id = execution_id
        self._random = random

    @classmethod
    async def open(
        cls, client: ExecutionClient, lease_token: str, namespace: str, execution_id: str, random: Random
    ) -> Opened:
        """Open the journal, which closes it for every earlier owner, and read where the execution stands.

        Raises:
            FencedOffError: If the lease is over, or a later owner has opened the journal.
            EventError: If a later version has written an event that this one does not know.
            RemoteWorkersError: If the server refuses for another reason.

        """
        patience = Patience(f"execution {execution_id} cannot be taken over", random)
        try:
            opened = await patience.insist(lambda: client.open_journal(lease_token))
        except RemoteWorkersError as error:
            raise _replaced(execution_id, error) from error
        state = fold(map(from_message, opened.events))
        async for page in _rest(client, namespace, execution_id, state.sequence + 1, opened.next_sequence, patience):
            state = fold(map(from_message, page), state)
        reason = opened.cancel_reason if opened.cancel_requested else None
        journal = cls(client, lease_token, execution_id, random)
        return Opened(journal, state, reason, opened.max_output_bytes)

    async def append(self, events: Sequence[Event]) -> None:
        """Record events.

        Raises:
            FencedOffError: If a later owner has opened the journal.
            RemoteWorkersError: If the server refuses for another reason.

        """
        first = events[0].sequence
        for batch in batches(map(to_message, events), BATCH_EVENTS, BATCH_BYTES):
            await self._append(first, batch)
            first += len(batch)

    async def _append(self, first: int, batch: list[pb.JournalEvent]) -> None:
        patience = Patience(f"events of execution {self._execution_id} cannot be recorded", self._random)
        try:
            await patience.insist(lambda: self._client.append(self._token, first, batch))
        except RemoteWorkersError as error:
            raise _replaced(self._execution_id, error) from error


async def _rest(
    client: ExecutionClient, namespace: str, execution_id: str, first: int, end: int, patience: Patience
) -> AsyncIterator[Sequence[pb.JournalEvent]]:
    """Yield the events from one number on and before another, page by page."""
    while first < end:
        page = await patience.insist(partial(client.read, namespace, execution_id, first))
        yield page.events
        first += len(page.events)


def _replaced(execution_id: str, error: RemoteWorkersError) -> Exception:
    """Return what a refusal means to the owner."""
    return FencedOffError(execution_id, str(error)) if error.reason in _REPLACED else error
