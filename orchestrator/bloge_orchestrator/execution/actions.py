"""What an execution wants done; carried out only after the events that led to it are recorded."""

from dataclasses import dataclass

from bloge_orchestrator.operators import Json


@dataclass(frozen=True, slots=True)
class StartLocal:
    """Run an attempt of a local node."""

    node_id: str
    attempt: int
    input: Json


@dataclass(frozen=True, slots=True)
class StopLocal:
    """End an attempt of a local node that nobody waits for any more; what it says is not listened to in any case."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Enqueue these exact bytes, a `WorkItemSpec`; doing it again changes nothing."""

    node_id: str
    item_id: str
    work_item: bytes


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell the server that an outcome is recorded."""

    worker_topic: str
    item_id: str


@dataclass(frozen=True, slots=True)
class CancelItem:
    """Withdraw a work item nobody waits for any more."""

    worker_topic: str
    item_id: str


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Say `RetryDue` at a time, in milliseconds since 1970."""

    node_id: str
    due_ms: int


@dataclass(frozen=True, slots=True)
class WatchDeadline:
    """Say `DeadlinePassed` at a time, in milliseconds since 1970."""

    node_id: str
    attempt: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""


Action = StartLocal | StopLocal | Enqueue | Acknowledge | CancelItem | WaitUntil | WatchDeadline | Finish
