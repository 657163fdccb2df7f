"""What an item remembers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Verdict
from bloge_server.domain.work_item import NewItem

EARLIER_CLAIMS_KEPT = 16
"""Claims before the last one whose token and decisions are remembered (L12)."""
HISTORY_KEPT = 32
LATE_OUTPUTS_KEPT = 4


class Decision(NamedTuple):
    """What a token has decided, and the answer that the same report gets again (L12)."""

    kind: str
    digest: str
    answer: Verdict


@dataclass
class Claim:
    """One delivery to a worker. Its token names the fence and proves itself by the nonce."""

    fence: int
    nonce: str
    worker: str
    at: int
    lease: int
    """As long as was asked for, in ms."""
    received: bool
    decisions: list[Decision] = field(default_factory=list)


class Attempt(NamedTuple):
    """A delivery that ended without an outcome."""

    attempt: int
    worker: str
    fence: int
    claimed: int
    ended: int
    end: str
    due: int | None
    failure: str | None


class LateOutput(NamedTuple):
    """An output that came too late; None if it was too large to keep."""

    at: int
    size: int
    worker: str
    reason: str
    output: bytes | None


@dataclass
class Item:
    """One work item. Instants and durations are in ms."""

    new: NewItem
    schema: str
    enqueued: int
    sequence: int
    payload: bytes
    status: Status = Status.READY
    at: int = 0
    """CLAIMED: the lease deadline. RETRY_WAIT: when it is due. DEAD_LETTER: since when. Otherwise without meaning."""

    claim: Claim | None = None
    """The last claim; None before the first one, and after a replay."""
    earlier: list[Claim] = field(default_factory=list)
    fence: int = 0

    retries: int = 0
    losses: int = 0
    """Leases lost without progress in between."""
    claims: int = 0
    releases: int = 0
    replays: int = 0
    progress: bytes | None = None
    history: list[Attempt] = field(default_factory=list)
    late_outputs: dict[int, LateOutput] = field(default_factory=dict)
    """By fence, in the order of their arrival."""

    dead_reason: str | None = None
    cancel_requested: bool = False
    outcome: Outcome | None = None
    outcome_at: int | None = None
    output: bytes | None = None
    business_error: bytes | None = None
    outbox_place: int | None = None
    """While nobody has acknowledged the outcome."""
    kept_until: int | None = None

    @property
    def is_execution(self) -> bool:
        """Whether it is a whole execution, and not a node of one."""
        return self.new.item_type == "EXECUTE_GRAPH"

    @property
    def suspend_deadline(self) -> int | None:
        """When its node stops waiting."""
        return self.enqueued + self.new.suspend_timeout_ms if self.new.suspend_timeout_ms else None

    @property
    def attempt_end(self) -> int | None:
        """When the last claim must end, however often it is extended."""
        return self.claim.at + self.new.attempt_timeout_ms if self.claim and self.new.attempt_timeout_ms else None

    def instants(self) -> Iterator[int]:
        """Yield when something is due by itself."""
        if self.status in (Status.CLAIMED, Status.RETRY_WAIT):
            yield self.at
        if self.outcome is None and self.suspend_deadline is not None:
            yield self.suspend_deadline
        if self.kept_until is not None:
            yield self.kept_until

    def lease_until(self, instant: int) -> int:
        """Return the lease deadline for one that is wanted: never past the end of the attempt."""
        return min(instant, self.attempt_end) if self.attempt_end is not None else instant

    def move(self, status: Status, at: int = 0) -> None:
        """Stand somewhere else."""
        self.status, self.at = status, at

    def wait(self, due: int | None) -> None:
        """Be ready, or wait until an instant."""
        if due is None:
            self.move(Status.READY)
        else:
            self.move(Status.RETRY_WAIT, due)

    def retire_claim(self, now: int) -> None:
        """Supersede the last claim. Fences rise even if the clock does not (L2).

        They follow the clock so that a store that lost writes issues none again.
        """
        if self.claim is not None:
            self.earlier = [*self.earlier, self.claim][-EARLIER_CLAIMS_KEPT:]
            self.claim = None
        self.fence = max(self.fence + 1, now * 1000)
