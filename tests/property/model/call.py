"""What befalls an item in one call: what is due by itself, how attempts end, how outcomes are written."""

from collections.abc import Callable
from dataclasses import dataclass

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Verdict
from bloge_server.domain.work_item import TopicLimits

from .item import HISTORY_KEPT, Attempt, Decision, Item

LOSS_JITTER = 500
MAX_BACKOFF = 7 * 86_400_000
GOLDEN_RATIO = 0.6180339887498949
ATTEMPT_TIMEOUT = "attempt timeout"
"""What an attempt that ran to its end has decided for its token."""


@dataclass
class Call:
    """One call of one server: its instant, its dice, and what the server brings along."""

    now: int
    roll: float
    """In [0, 1): the source of every draw of the call."""
    reads: frozenset[str]
    """The schemas that the server's release can read (ADR 12)."""
    limits: TopicLimits
    """For a topic without limits of its own."""
    retention: int
    next_outcome: Callable[[], int]
    """Gives the next place in the order of the topic's outcomes (ADR 6)."""
    nonce: str = ""
    """Of what a claim hands out."""
    draws: int = 0

    def draw(self) -> float:
        """Return a number in [0, 1). Draws follow the order in which the call deals with its items."""
        self.draws += 1
        return (self.roll + self.draws * GOLDEN_RATIO) % 1

    def settle(self, item: Item) -> None:
        """Bring an item up to date before anything is decided about it, so that no answer depends on the last sweep."""
        if item.outcome is not None:
            return
        if item.suspend_deadline is not None and item.suspend_deadline <= self.now:
            if item.status is not Status.DEAD_LETTER:
                item.move(Status.CANCELLED)
            self.emit(item, Outcome.TIMED_OUT)
        elif item.status is Status.CLAIMED and item.at <= self.now:
            self._lapse(item)

    def _lapse(self, item: Item) -> None:
        """Take a lapsed lease away: for free if the offer never arrived, as a failure at the attempt's end, as a loss.

        Decided: which of the two is told by the deadline that the lease ran into, not by when somebody looks. A lease
        that was lost long before the end of its attempt stays a loss after an outage.
        """
        assert item.claim is not None
        if not item.claim.received:
            self.next_attempt(item, "OFFER_EXPIRED", None)
        elif item.at == item.attempt_end:
            answer = Verdict(Reason.LEASE_EXPIRED)
            item.claim.decisions.append(Decision(ATTEMPT_TIMEOUT, "", answer))
            failure = '{"type":"ATTEMPT_TIMEOUT","message":"the attempt timeout passed"}'
            self.retry_or_bury(item, "ATTEMPT_TIMEOUT", failure)
        elif item.losses >= item.new.max_lease_losses:
            self.end_attempt(item, "LEASE_LOST")
            self.bury(item, "LEASE_LOST")
        else:
            self.next_attempt(item, "LEASE_LOST", self.now + int(LOSS_JITTER * self.draw()))
            item.losses += 1

    def retry_or_bury(
        self, item: Item, end: str, failure: str, *, fatal: bool = False, retry_after: int | None = None
    ) -> int | None:
        """Spend a retry, or make a dead letter; return the delay until the next attempt, or None.

        A retry that would come at the suspend deadline or after it is not made: nobody would wait for it.
        """
        delay = self._backoff(item) if retry_after is None else retry_after
        if fatal:
            reason = "NON_RETRYABLE"
        elif item.retries >= item.new.max_retries:
            reason = "BUDGET_SPENT"
        elif item.suspend_deadline is not None and self.now + delay >= item.suspend_deadline:
            reason = "RETRY_PAST_DEADLINE"
        else:
            self.next_attempt(item, end, self.now + delay, failure)
            item.retries += 1
            return delay
        self.end_attempt(item, end, failure)
        self.bury(item, reason)
        return None

    def _backoff(self, item: Item) -> int:
        """FIXED: base. EXPONENTIAL: base * 2^retries. JITTER: uniform below EXPONENTIAL. Never above the maximum."""
        strategy, base, most = item.new.backoff.split(":")
        delay = int(base) if strategy == "FIXED" else int(base) * 2**item.retries
        delay = min(delay, int(most) or MAX_BACKOFF)
        return int(delay * self.draw()) if strategy == "JITTER" else delay

    def next_attempt(self, item: Item, end: str, due: int | None, failure: str | None = None) -> None:
        """End an attempt; the next one may begin in the item's old place, at once or when it is due."""
        self.end_attempt(item, end, failure, due)
        item.wait(due)

    def after(self, delay: int) -> int | None:
        """Return the instant after a delay; None for at once."""
        return self.now + delay if delay else None

    def end_attempt(self, item: Item, end: str, failure: str | None = None, due: int | None = None) -> None:
        """Remember how an attempt ended. A run after a loss or a release repeats its attempt's number."""
        claim = item.claim
        assert claim is not None
        ended = Attempt(item.retries + 1, claim.worker, claim.fence, claim.at, self.now, end, due, failure)
        item.history = [*item.history, ended][-HISTORY_KEPT:]

    def bury(self, item: Item, reason: str) -> None:
        """Make a dead letter: its node waits for a person, or resumes with the failure."""
        item.dead_reason = reason
        item.move(Status.DEAD_LETTER, self.now)
        if item.new.on_dead_letter == "RESUME_WITH_FAILURE":
            self.emit(item, Outcome.FAILED)

    def emit(self, item: Item, outcome: Outcome) -> None:
        """Write the outcome, at most once (L3), into the outbox of the reply group. Without one nobody acknowledges."""
        assert item.outcome is None
        item.outcome, item.outcome_at = outcome, self.now
        if item.new.reply_group != "-":
            item.outbox_place = self.next_outcome()
        self.retain(item)

    def retain(self, item: Item) -> None:
        """Let retention begin, once nobody waits for the outcome and nobody needs to look at the dead letter."""
        if item.outbox_place is None and item.status is not Status.DEAD_LETTER:
            item.kept_until = self.now + self.retention
