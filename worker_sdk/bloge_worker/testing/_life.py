"""How items of the fake control plane end, and what happens to them by time alone."""

from collections.abc import Callable
from math import inf
from random import Random

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_worker._durations import seconds_of
from bloge_worker.testing._record import Record, instant

LOSS_JITTER = 0.5
"""Most seconds that an item waits after a lost lease."""
DEFAULT_LEASE_LOSSES = 3
_LONGEST_BACKOFF = 7 * 86_400.0

OnStop = Callable[[Record, Reason], object]
"""Takes an item whose worker is to stop its handler."""


class Life:
    """Carries out what the lifecycle says.

    Args:
        random: gives all jitter.
        on_stop: called for each handler to stop.
    """

    def __init__(self, random: Random, on_stop: OnStop) -> None:
        self._random = random
        self._on_stop = on_stop

    def settle(self, record: Record, now: float) -> None:
        """Bring an item up to date: first its suspend deadline, then its lease, then its wait."""
        if not record.is_open:
            return
        if record.suspend_deadline <= now:
            self.withdraw(record, pb.OUTCOME_KIND_TIMED_OUT, Reason.DEADLINE_PASSED, now)
        elif record.item.status == pb.WORK_ITEM_STATUS_CLAIMED and record.lease_until <= now:
            self._expire(record, now)
        if record.item.status == pb.WORK_ITEM_STATUS_RETRY_WAIT and record.due_at <= now:
            record.place(pb.WORK_ITEM_STATUS_READY)

    @staticmethod
    def due(record: Record) -> float:
        """Return when `settle` has something to do."""
        if not record.is_open:
            return inf
        lease = record.lease_until if record.item.status == pb.WORK_ITEM_STATUS_CLAIMED else inf
        return min(record.suspend_deadline, lease, record.due_at)

    def withdraw(self, record: Record, kind: pb.OutcomeKind.ValueType, reason: Reason, now: float) -> None:
        """End an item without its worker, and tell that to stop."""
        if record.item.status == pb.WORK_ITEM_STATUS_CLAIMED:
            self._on_stop(record, reason)
            timed_out = kind == pb.OUTCOME_KIND_TIMED_OUT
            record.end_attempt(pb.ATTEMPT_END_DEADLINE_PASSED if timed_out else pb.ATTEMPT_END_CANCELLED, now)
        if record.item.status != pb.WORK_ITEM_STATUS_DEAD_LETTER:
            record.place(pb.WORK_ITEM_STATUS_CANCELLED)
        self.emit(record, pb.Outcome(kind=kind), now)

    def emit(self, record: Record, outcome: pb.Outcome, now: float) -> None:
        """Write the outcome: at most once."""
        item, spec = record.item, record.spec
        outcome.item.CopyFrom(item.item)
        outcome.retry_count = item.retry_count
        outcome.dead_letter_reason = item.dead_letter_reason
        outcome.reply_group, outcome.execution_id, outcome.node_id = spec.reply_group, spec.execution_id, spec.node_id
        if item.status == pb.WORK_ITEM_STATUS_DONE:
            outcome.worker_id = item.worker_id
        outcome.outcome_time.CopyFrom(instant(now))
        item.outcome.CopyFrom(outcome)

    def retry_or_bury(
        self,
        record: Record,
        end: pb.AttemptEnd.ValueType,
        failure: pb.Failure,
        now: float,
        *,
        fatal: bool = False,
        delay: float | None = None,
    ) -> float | None:
        """Spend a retry, or make a dead letter; return the delay until the next attempt, None if there is none."""
        policy, item = record.spec.retry_policy, record.item
        wait = self._backoff(policy, item.retry_count) if delay is None else delay
        reason = None
        if fatal:
            reason = pb.DEAD_LETTER_REASON_NON_RETRYABLE
        elif item.retry_count >= policy.attempts:
            reason = pb.DEAD_LETTER_REASON_BUDGET_SPENT
        elif now + wait >= record.suspend_deadline:
            reason = pb.DEAD_LETTER_REASON_RETRY_PAST_DEADLINE
        if reason is not None:
            record.end_attempt(end, now, failure=failure)
            self.bury(record, reason, now)
            return None
        record.end_attempt(end, now, failure=failure, due=now + wait)
        item.retry_count += 1
        record.place(pb.WORK_ITEM_STATUS_RETRY_WAIT, due=now + wait)
        return wait

    def bury(self, record: Record, reason: pb.DeadLetterReason.ValueType, now: float) -> None:
        """Make a dead letter."""
        record.item.dead_letter_reason = reason
        record.item.dead_letter_time.CopyFrom(instant(now))
        record.place(pb.WORK_ITEM_STATUS_DEAD_LETTER)
        if record.spec.on_dead_letter == pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE:
            failures = [each.failure for each in record.item.attempts if each.HasField("failure")]
            name = pb.DeadLetterReason.Name(reason).removeprefix("DEAD_LETTER_REASON_")
            failure = failures[-1] if failures else pb.Failure(type=name)
            self.emit(record, pb.Outcome(kind=pb.OUTCOME_KIND_FAILED, failure=failure), now)

    def _expire(self, record: Record, now: float) -> None:
        item = record.item
        assert record.claim is not None, "it was claimed"
        if not item.received:
            record.end_attempt(pb.ATTEMPT_END_OFFER_EXPIRED, now)
            record.place(pb.WORK_ITEM_STATUS_READY)
        elif record.attempt_ends_at <= record.lease_until:
            # Which deadline the lease ran into tells how it ended, not when somebody noticed.
            record.claim.timed_out = True
            self._on_stop(record, Reason.LEASE_EXPIRED)
            failure = pb.Failure(type="ATTEMPT_TIMEOUT", message="the attempt timeout passed")
            self.retry_or_bury(record, pb.ATTEMPT_END_ATTEMPT_TIMEOUT, failure, now)
        elif item.lease_loss_count >= _most_losses(record.spec):
            record.end_attempt(pb.ATTEMPT_END_LEASE_LOST, now)
            self.bury(record, pb.DEAD_LETTER_REASON_LEASE_LOST, now)
        else:
            due = now + self._random.uniform(0, LOSS_JITTER)
            record.end_attempt(pb.ATTEMPT_END_LEASE_LOST, now, due=due)
            item.lease_loss_count += 1
            record.place(pb.WORK_ITEM_STATUS_RETRY_WAIT, due=due)

    def _backoff(self, policy: pb.RetryPolicy, retries: int) -> float:
        delay = seconds_of(policy.backoff)
        most = seconds_of(policy.max_backoff) or _LONGEST_BACKOFF
        if policy.strategy in (pb.BACKOFF_STRATEGY_EXPONENTIAL, pb.BACKOFF_STRATEGY_JITTER):
            delay = min(most, delay * 2.0 ** min(retries, 64))
        if policy.strategy == pb.BACKOFF_STRATEGY_JITTER:
            delay = self._random.uniform(0, delay)
        return min(delay, most)


def _most_losses(spec: pb.WorkItemSpec) -> int:
    return spec.max_lease_losses if spec.HasField("max_lease_losses") else DEFAULT_LEASE_LOSSES
