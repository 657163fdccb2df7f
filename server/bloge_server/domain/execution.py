"""Executions of graphs as the server knows them: where they stand, and the events of their journals, unread."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.work_item import StoredItem


class ExecutionStatus(StrEnum):
    """Where an execution stands."""

    PENDING = "PENDING"
    """Enqueued; no owner has opened its journal yet."""
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (ExecutionStatus.PENDING, ExecutionStatus.RUNNING)


class Facts(NamedTuple):
    """What an execution is, from its start on."""

    worker_topic: str
    graph_name: str
    graph_hash: str
    business_key: str


class Recorded(NamedTuple):
    """What became of the wish to record an execution."""

    created: bool
    worker_topic: str
    """The topic that it has, from now on or from before."""
    start_ms: int


class ExecutionRecord(NamedTuple):
    """What stands beside an execution's journal."""

    execution_id: str
    facts: Facts
    status: ExecutionStatus
    """As the journal says: it does not know of a work item that was discarded."""
    start_ms: int
    end_ms: int | None
    next_sequence: int


class StoredEvent(NamedTuple):
    """One event of a journal."""

    sequence: int
    append_ms: int
    contents: bytes


class JournalPage(NamedTuple):
    """Part of a journal, and where the execution stands."""

    status: ExecutionStatus
    next_sequence: int
    events: list[StoredEvent]


class Ownership(NamedTuple):
    """What the holder of an execution's lease finds when it opens the journal."""

    beginning: JournalPage
    cancel_requested: bool
    cancel_reason: str


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution, from its record and its work item."""

    record: ExecutionRecord
    item: StoredItem

    @property
    def status(self) -> ExecutionStatus:
        """Where it stands; an item that was discarded, or ended without its journal, has the last word."""
        outcome = self.item.state.outcome
        if self.record.status.ended or outcome is None:
            return self.record.status
        return _BY_OUTCOME[outcome]

    @property
    def owner(self) -> str:
        """The worker id of the orchestrator that owns it; empty if none does."""
        state = self.item.state
        return state.worker_id if state.status is Status.CLAIMED else ""


_BY_OUTCOME = {
    Outcome.COMPLETED: ExecutionStatus.COMPLETED,
    Outcome.FAILED: ExecutionStatus.FAILED,
    Outcome.TIMED_OUT: ExecutionStatus.FAILED,
    Outcome.CANCELLED: ExecutionStatus.CANCELLED,
}


class Listed(NamedTuple):
    """One entry of a listing."""

    execution_id: str
    start_ms: int
    status: ExecutionStatus


class ListPlace(NamedTuple):
    """Where a listing stands: after an execution."""

    start_ms: int = -1
    """Negative: at the beginning."""
    execution_id: str = ""


class ListPage(NamedTuple):
    """Part of a listing."""

    entries: list[Listed]
    place: ListPlace
    more: bool
