"""What reaches an execution from outside and is judged before it is recorded."""

from dataclasses import dataclass

from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.work_items import ItemOutcome
from bloge_orchestrator.operators import Json


@dataclass(frozen=True, slots=True)
class Begun:
    """The execution begins."""

    execution_id: str
    namespace: str
    business_key: str
    input: Json


@dataclass(frozen=True, slots=True)
class OperatorReturned:
    """An attempt of a local node ended with an output."""

    node_id: str
    attempt: int
    output: Json


@dataclass(frozen=True, slots=True)
class OperatorFailed:
    """An attempt of a local node failed."""

    node_id: str
    attempt: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class EnqueueRefused:
    """A work item was refused for good."""

    node_id: str
    item_id: str
    error: NodeError


@dataclass(frozen=True, slots=True)
class OutcomeArrived:
    """A work item has an outcome; it may have arrived before."""

    worker_topic: str
    outcome: ItemOutcome


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The delay before a node's next attempt is over."""

    node_id: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The timeout of a sub-graph's attempt is over."""

    node_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Somebody wants the execution to end."""

    reason: str


Happening = (
    Begun
    | OperatorReturned
    | OperatorFailed
    | EnqueueRefused
    | OutcomeArrived
    | RetryDue
    | DeadlinePassed
    | CancelAsked
)
