"""Work items on their way into and out of the store.

Plain tuples: one stands for each item on the hot path, where building a heavier object would show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import Outcome, Status


class NewItem(NamedTuple):
    """A validated work item to enqueue, in the order of the enqueue script's arguments."""

    item_id: str
    digest: str
    """Digest of what makes two enqueues equal: type, payload, policies, priority and requested durations."""
    spec: bytes
    """The encoded description without the payload; the store passes both through untouched."""
    payload: bytes = b""
    item_type: str = "EXECUTE_NODE"
    priority: int = 50
    start_delay_ms: int = 0
    suspend_timeout_ms: int = 0
    """0: none."""
    attempt_timeout_ms: int = 3_600_000
    """0: none."""
    max_retries: int = 0
    backoff: str = "FIXED:0:0"
    """`STRATEGY:base_ms:max_ms`; a maximum of 0 means 7 days."""
    max_lease_losses: int = 3
    on_dead_letter: str = "KEEP_SUSPENDED"
    reply_group: str = "-"
    """`-`: none."""
    fatal_error_types: str = ""
    """Error types that are not retried, one a line."""


class Enqueued(NamedTuple):
    """What became of one item of an enqueue."""

    item_id: str
    status: str
    """CREATED, EXISTS, DIFFERS, FULL or UNKNOWN_SCHEMA."""


class ClaimOrder(NamedTuple):
    """What a worker wants, and how it will hold it."""

    worker_id: str
    max_items: int
    lease_ms: int
    offer_lease_ms: int = 0
    """Positive for a streamed claim: the lease until its receipt. 0: the claim's reply is the receipt."""
    max_bytes: int = 2_500_000
    """Most bytes of descriptions, payloads and progress together."""
    any_size: bool = True
    """Whether the first item is given whatever its size."""
    request_id: str = ""
    item_id: str = ""
    """The only item that is wanted; empty: any."""


class Lease(NamedTuple):
    """One claimed item."""

    token: LeaseToken
    spec: bytes
    payload: bytes
    attempt: int
    claim_count: int
    fence: int
    lease_ms: int
    remaining_ms: int
    """Until the suspend deadline; negative if there is none."""
    attempt_timeout_ms: int
    """Negative if there is none."""
    progress: bytes
    item_id: str


class Claimed(NamedTuple):
    """The answer to a claim."""

    leases: list[Lease]
    more: bool
    """True if asking again at once may find more; without any lease, if somebody with more room may."""


class TopicLimits(NamedTuple):
    """How much a topic may have."""

    backlog: int = 0
    """Most items that may be ready or waiting; 0: no limit."""
    dead_letters: int = 0
    """Most dead letters; 0: no limit."""
    dead_letter_policy: str = "KEEP"
    """What happens to dead letters beyond the limit: KEEP, or DISCARD_OLDEST."""


NO_LIMITS = TopicLimits()


class SweepResult(NamedTuple):
    """What one pass over a topic did."""

    promoted: int
    expired: int
    timed_out: int
    purged: int
    discarded: int
    """Dead letters that went because the topic had too many."""
    next_due_ms: int
    """Time until something is due: 0 if more is due now, negative if nothing is ahead."""
    dead_beyond_limit: int
    """Dead letters that the topic still has beyond its limit."""
    ended_executions: Sequence[str] = ()
    """Executions whose retention is over. Their items are left until their journals are gone."""


class ItemPolicy(NamedTuple):
    """The packed policy of a record, in the order in which `enqueue.lua` packs it."""

    schema: str
    suspend_deadline_ms: int | None
    attempt_timeout_ms: int
    reply_group: str
    max_retries: int
    backoff: str
    max_lease_losses: int
    on_dead_letter: str
    digest: str
    enqueued_ms: int
    item_type: str

    @property
    def resumes_with_failure(self) -> bool:
        """Whether a dead letter has its outcome from the start, so that no later discard gives it one."""
        return self.on_dead_letter == "RESUME_WITH_FAILURE"


class ItemState(NamedTuple):
    """The packed state of a record, in the order in which `include/record.lua` packs it."""

    status: Status
    order: int
    fence: int
    """0 before the first claim."""
    nonce: str
    worker_id: str
    claimed_ms: int | None
    lease_ms: int | None
    received: bool
    decided: str
    """What the last token decided; `-` if nothing yet."""
    retry_count: int
    lease_loss_count: int
    claim_count: int
    outcome: Outcome | None
    outcome_ms: int | None


class StoredOutcome(NamedTuple):
    """An outcome as the store keeps it."""

    namespace: str
    worker_topic: str
    item_id: str
    kind: str
    """The name of an `Outcome`."""
    outcome_ms: int
    status: str
    retry_count: int
    worker_id: str
    reply_group: str
    spec: bytes
    output: bytes
    business_error: bytes
    history: bytes
    """Ended attempts, one JSON object a line."""
    dead_reason: str
    discarded: bool
    """True if a person dropped the dead letter while its node still waited."""


class OutboxPage(NamedTuple):
    """Outcomes of one reply group, in the order of their emission."""

    place: int
    """Of the last one, to read on from."""
    more: bool
    outcomes: list[StoredOutcome]


class Emission(NamedTuple):
    """Outcomes of one reply group that a call wrote."""

    topic: tuple[str, str]
    """Namespace and worker topic."""
    reply_group: str
    before: int
    """Place of the outcome before them in the outbox; 0: there is none."""
    place: int
    """Of the last one."""
    outcomes: list[StoredOutcome] | None
    """None: they must be read."""


class Acted(NamedTuple):
    """What became of an item that somebody acted on."""

    answer: str
    status: str
    """Where the item stands now; `-` if there is none."""
    outcome: str
    """`-`: none."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A whole record, for people."""

    namespace: str
    worker_topic: str
    item_id: str
    policy: ItemPolicy
    state: ItemState
    fields: dict[str, bytes] = field(repr=False)
    """The fields that are not packed, by name."""
    lease_deadline_ms: int | None
    due_ms: int | None
    dead_letter_ms: int | None

    @property
    def outcome(self) -> StoredOutcome | None:
        """The outcome, if there is one."""
        state = self.state
        if state.outcome is None or state.outcome_ms is None:
            return None
        return StoredOutcome(
            namespace=self.namespace,
            worker_topic=self.worker_topic,
            item_id=self.item_id,
            kind=state.outcome,
            outcome_ms=state.outcome_ms,
            status=state.status,
            retry_count=state.retry_count,
            worker_id=state.worker_id,
            reply_group=self.policy.reply_group,
            spec=self.fields.get("spec", b""),
            output=self.fields.get("output", b""),
            business_error=self.fields.get("business_error", b""),
            history=self.fields.get("history", b""),
            dead_reason=self.dead_reason,
            discarded=state.status == "CANCELLED" and not self.policy.resumes_with_failure,
        )

    @property
    def dead_reason(self) -> str:
        """Why it is a dead letter; empty if it is none."""
        return self.fields.get("dead_reason", b"").decode()
