"""One work item of the fake control plane: its record on the wire, and what the wire does not tell."""

from collections import deque
from dataclasses import dataclass, field
from math import inf

from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_worker._durations import duration_of

CLAIMS_KEPT, ATTEMPTS_KEPT, LATE_OUTPUTS_KEPT = 16, 32, 4
LATE_OUTPUT_BYTES = 64 * 1024

Decision = tuple[str, bytes, lease_pb2.Verdict]
"""What a token reported: kind, content, answer."""


@dataclass(slots=True, eq=False)
class Claim:
    """One claim of an item, and what its token has decided."""

    fence: int
    nonce: str
    worker_id: str
    at: float
    lease: float
    """Lease length in seconds that the claim got."""
    decisions: list[Decision] = field(default_factory=list)
    timed_out: bool = False
    """True once the attempt timeout has ended it."""


@dataclass(slots=True, eq=False)
class Record:
    """A work item. Instants are seconds on the control plane's clock."""

    item: pb.WorkItem
    order: tuple[int, int]
    """Its place among those that are ready: priority, then sequence."""
    enqueued_at: float
    suspend_deadline: float = inf
    due_at: float = inf
    """RETRY_WAIT: when it is due."""
    lease_until: float = inf
    """CLAIMED: when the lease runs out."""
    claim: Claim | None = None
    """The last one."""
    earlier: deque[Claim] = field(default_factory=lambda: deque(maxlen=CLAIMS_KEPT))
    releases: int = 0

    @property
    def spec(self) -> pb.WorkItemSpec:
        """The item as it was enqueued."""
        return self.item.spec

    @property
    def is_open(self) -> bool:
        """True while something may still happen to it by itself."""
        return not self.item.HasField("outcome")

    @property
    def attempt_ends_at(self) -> float:
        """When the running attempt has lasted as long as the item allows."""
        assert self.claim is not None, "an attempt has a claim"
        timeout = self.spec.attempt_timeout
        seconds = timeout.seconds + timeout.nanos / 1e9 if self.spec.HasField("attempt_timeout") else 3600.0
        return self.claim.at + seconds if seconds else inf

    def claim_of(self, fence: int) -> Claim | None:
        """Return the claim with a fence, if it is remembered."""
        claims = [*self.earlier, *([self.claim] if self.claim else [])]
        return next((each for each in claims if each.fence == fence), None)

    def place(self, status: pb.WorkItemStatus.ValueType, *, due: float = inf) -> None:
        """Move it to a status; for RETRY_WAIT with the instant at which it is due."""
        self.item.status = status
        self.due_at = due

    def begin_attempt(self, claim: Claim) -> None:
        """Note that a claim begins, or goes on after its end."""
        self.item.attempts.add(
            attempt=self.item.retry_count + 1,
            worker_id=claim.worker_id,
            fence=claim.fence,
            claim_time=instant(claim.at),
        )
        del self.item.attempts[:-ATTEMPTS_KEPT]

    def end_attempt(
        self, end: pb.AttemptEnd.ValueType, now: float, *, failure: pb.Failure | None = None, due: float = inf
    ) -> None:
        """Note how the last claim ended. What comes after its end is one more line of the history."""
        assert self.claim is not None, "an attempt has a claim"
        if self.item.attempts[-1].end:
            self.begin_attempt(self.claim)
        last = self.item.attempts[-1]
        last.end = end
        last.end_time.CopyFrom(instant(now))
        if failure is not None:
            last.failure.CopyFrom(failure)
        if due != inf:
            last.due_time.CopyFrom(instant(due))

    def keep_late_output(self, claim: Claim, report: lease_pb2.CompleteReport, reason: str, now: float) -> bool:
        """Keep an output that came too late, the latest few; return False if all that is kept is that there was one."""
        size = len(report.output)
        self.item.late_outputs.add(
            fence=claim.fence,
            worker_id=claim.worker_id,
            arrival_time=instant(now),
            output=report.output if size <= LATE_OUTPUT_BYTES else b"",
            size_bytes=size,
            reason=reason,
        )
        del self.item.late_outputs[:-LATE_OUTPUTS_KEPT]
        return size <= LATE_OUTPUT_BYTES

    def view(self) -> pb.WorkItem:
        """Return it as a reader sees it."""
        view = pb.WorkItem()
        view.CopyFrom(self.item)
        view.enqueue_time.CopyFrom(instant(self.enqueued_at))
        if self.suspend_deadline != inf:
            view.suspend_deadline.CopyFrom(instant(self.suspend_deadline))
        if self.item.status == pb.WORK_ITEM_STATUS_CLAIMED:
            view.lease_deadline.CopyFrom(instant(self.lease_until))
        else:
            view.received = False
        if self.item.status == pb.WORK_ITEM_STATUS_RETRY_WAIT:
            view.due_time.CopyFrom(instant(self.due_at))
        return view

    def lease(self, now: float, duration: float | None = None) -> lease_pb2.Lease:
        """Return the lease of the last claim.

        Args:
            now: the time.
            duration: what to say it lasts: for an offer what its receipt will give. None: what is left of it.
        """
        assert self.claim is not None, "it was claimed"
        ref = self.item.item
        lease = lease_pb2.Lease(
            lease_token="/".join(
                (ref.namespace, ref.worker_topic, ref.item_id, str(self.claim.fence), self.claim.nonce)
            ),
            spec=self.spec,
            attempt=self.item.retry_count + 1,
            claim_count=self.item.claim_count,
            lease_duration=duration_of(self.lease_until - now if duration is None else duration),
            progress=self.item.progress,
            fence=self.claim.fence,
            namespace=ref.namespace,
        )
        if self.suspend_deadline != inf:
            lease.time_remaining.CopyFrom(duration_of(self.suspend_deadline - now))
        if self.attempt_ends_at != inf:
            lease.attempt_timeout.CopyFrom(duration_of(self.attempt_ends_at - now))
        return lease


def instant(seconds: float) -> Timestamp:
    """Return an instant of the control plane's clock."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1_000_000))
    return stamp
