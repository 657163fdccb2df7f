"""What is known of one execution whose owner was killed, once it has ended."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import Event, ExecutionResult


@dataclass(frozen=True, slots=True)
class Death:
    """How a process died."""

    boundary: str
    at_ms: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class OperatorRun:
    """A local operator began."""

    node_id: str
    attempt: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one execution left behind."""

    execution_id: str
    dies_at: int
    death: Death | None
    """None if the first process has lived to the end."""
    boundaries: int | None
    """How many boundaries the first process passed, if it has lived to the end."""
    result: ExecutionResult
    events: Sequence[Event]
    execution: pb.WorkItem
    """The work item of the execution itself."""
    items: Sequence[pb.WorkItem]
    """Those of its nodes, as the journal names them."""
    unacknowledged: Sequence[pb.Outcome]
    operator_runs: Sequence[OperatorRun]
    worker_runs: Counter[str]
    """How often a worker ran each item."""

    @property
    def was_fenced_off(self) -> bool:
        """Whether the first process has lived, and another one ended the execution."""
        return self.death is None and self.execution.claim_count > 1

    @property
    def takeover_seconds(self) -> float | None:
        """From the death of the first process until the next one claimed the execution, if one had to."""
        if self.death is None:
            return None
        claims = [claim.claim_time.ToMilliseconds() for claim in self.execution.attempts]
        waited = [claimed_ms - self.death.at_ms for claimed_ms in claims if claimed_ms >= self.death.at_ms]
        return min(waited) / 1000 if waited else None
