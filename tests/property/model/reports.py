"""How a worker's word on a lease is judged by its token, and what it does."""

from typing import NamedTuple

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lifecycle import Outcome, Status
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Receipt, Release, Verdict

from .call import ATTEMPT_TIMEOUT, Call
from .item import EARLIER_CLAIMS_KEPT, LATE_OUTPUTS_KEPT, Claim, Decision, Item, LateOutput

MAX_RELEASES = 100
LATE_OUTPUT_BYTES = 65_536
FINISHES = {"complete": Outcome.COMPLETED, "business_error": Outcome.FAILED, "cancelled": Outcome.CANCELLED}
WAITING = (Status.READY, Status.RETRY_WAIT)


Word = Receipt | Heartbeat | Complete | Fail | Release


class Judged(NamedTuple):
    """What becomes of a word."""

    claim: Claim | None
    """None: its token was never issued, or is forgotten."""
    refusal: Verdict | None
    """None: its token can still act."""
    first: bool = False
    """Whether its token has decided nothing yet."""


def take(call: Call, item: Item, fence: int, nonce: str, word: Word) -> Verdict:
    """Judge a word and carry it out. The first complete, fail or release decides its token, even if refused (L12)."""
    kind, digest = _mark(word)
    claim, verdict, first = _judge(call, item, fence, nonce, kind, digest)
    if verdict is None:
        assert claim is not None
        verdict = _carry_out(call, item, claim, word)
    elif claim and first and isinstance(word, Complete) and kind == "complete":
        verdict = _keep_late_output(call, item, claim, verdict, word.body)
    if claim and first and digest and verdict.reason is not Reason.INVALID_FIELD:
        claim.decisions.append(Decision(kind, digest, verdict))
    return verdict


def _mark(word: Word) -> tuple[str, str]:
    """Return what makes two words equal: kind and digest. Receipts and heartbeats have none: they decide nothing."""
    match word:
        case Receipt() | Heartbeat():
            return type(word).__name__, ""
        case Complete():
            return word.kind, word.digest
        case Fail() | Release():
            return type(word).__name__, word.digest


def _carry_out(call: Call, item: Item, claim: Claim, word: Word) -> Verdict:
    match word:
        case Receipt():
            return _receive(call, item, claim, word)
        case Heartbeat():
            return _heartbeat(call, item, claim, word)
        case Complete():
            return _complete(call, item, word)
        case Fail():
            return _fail(call, item, word)
        case Release():
            return _release(call, item, word)


def _judge(call: Call, item: Item, fence: int, nonce: str, kind: str, digest: str) -> Judged:
    """Judge a word by its token: who may still act, and what the others learn."""
    call.settle(item)
    claim = next((each for each in (item.claim, *item.earlier) if each and each.fence == fence), None)
    if claim is None or claim.nonce != nonce:
        # One that may be too old to be remembered learns that it is over, and nothing else.
        forgotten = len(item.earlier) == EARLIER_CLAIMS_KEPT and fence < item.earlier[0].fence
        return Judged(None, Verdict(Reason.SUPERSEDED if forgotten else Reason.INVALID_TOKEN))
    for decision in claim.decisions:
        if (decision.kind, decision.digest) == (kind, digest):
            return Judged(claim, decision.answer)
    if claim.decisions and claim.decisions[-1].kind == ATTEMPT_TIMEOUT:  # the worker itself has not had its say
        return Judged(claim, _answer(item, Reason.LEASE_EXPIRED), first=True)
    if claim.decisions and not _may_finish_after_all(item, claim, kind):
        return Judged(claim, _answer(item, Reason.CONFLICTING_REPORT))
    reason = _why_over(item, claim)
    refusal = _answer(item, reason) if reason else None
    if refusal and claim is not item.claim and item.claim:  # after a replay nobody has taken over yet
        ago = max(0, call.now - item.claim.at)
        refusal = refusal._replace(superseded_by=item.claim.worker, superseded_ago_ms=ago)
    return Judged(claim, refusal, first=True)


def _answer(item: Item, reason: Reason | None = None) -> Verdict:
    return Verdict(reason, item.status)


def _may_finish_after_all(item: Item, claim: Claim, kind: str) -> bool:
    """Return whether work counts that was handed back and finished all the same: nobody took over (ADR 4)."""
    last = claim.decisions[-1]
    handed_back = last.kind == "Release" and last.answer.accepted
    return handed_back and kind in FINISHES and _why_over(item, claim) is None


def _why_over(item: Item, claim: Claim) -> Reason | None:
    """Return why a claim can do nothing more. As long as nobody took over, late work counts.

    It counts even for a dead letter of lost leases; about others a person decides. Decided: a claim that was superseded
    learns that before what became of the item since, unless it is done.
    """
    if item.status is Status.DONE:
        return Reason.ALREADY_DONE_BY_OTHER
    if claim is not item.claim:
        return Reason.SUPERSEDED
    if item.status in (Status.CLAIMED, *WAITING):
        return None
    if item.outcome is Outcome.TIMED_OUT:
        return Reason.DEADLINE_PASSED
    if item.status is Status.CANCELLED:
        return Reason.CANCELLED
    return None if item.dead_reason == "LEASE_LOST" and item.outcome is None else Reason.DEAD_LETTERED


def _receive(call: Call, item: Item, claim: Claim, word: Receipt) -> Verdict:
    """Let the full lease of an offer begin, from when the receipt came. A receipt after that changes nothing."""
    if item.status is not Status.CLAIMED:
        return _answer(item, Reason.OFFER_WITHDRAWN)
    if not claim.received:
        claim.received = True
        item.move(Status.CLAIMED, item.lease_until(call.now - word.age_ms + claim.lease))
    return _answer(item)._replace(lease_ms=item.at - call.now)


def _heartbeat(call: Call, item: Item, claim: Claim, word: Heartbeat) -> Verdict:
    """Extend a lease, or take the item back if nobody has it: the deadline only moves forward.

    Decided: not once the attempt has run to its end; and a loss that was counted stays counted. The progress of an
    execution is the length of its journal: told again, it is none.
    """
    deadline = item.lease_until(call.now + (word.lease_ms or claim.lease))
    if item.status is Status.CLAIMED:
        deadline = max(deadline, item.at)
    elif item.status is Status.DEAD_LETTER or deadline <= call.now:
        return _answer(item, Reason.LEASE_EXPIRED)
    item.move(Status.CLAIMED, deadline)
    claim.received = True
    if word.progress is not None and not (item.is_execution and word.progress == item.progress):
        item.progress, item.losses = word.progress, 0
    asked = item.is_execution and item.cancel_requested
    return _answer(item)._replace(lease_ms=deadline - call.now, cancel_requested=asked)


def _complete(call: Call, item: Item, word: Complete) -> Verdict:
    """Finish an item. Only the owner of an execution completes it as cancelled."""
    if word.kind == "cancelled" and not item.is_execution:
        return _answer(item, Reason.INVALID_FIELD)
    if word.kind == "business_error":
        item.business_error = word.body
    else:
        item.output = word.body
    item.move(Status.DONE)
    call.emit(item, FINISHES[word.kind])
    return _answer(item)


def _keep_late_output(call: Call, item: Item, claim: Claim, refusal: Verdict, output: bytes) -> Verdict:
    """Keep an output that came too late, with the latest few: of one that is too large only that there was one."""
    fits = len(output) <= LATE_OUTPUT_BYTES
    late = LateOutput(call.now, len(output), claim.worker, str(refusal.reason), output if fits else None)
    item.late_outputs = dict([*item.late_outputs.items(), (claim.fence, late)][-LATE_OUTPUTS_KEPT:])
    return refusal._replace(late_output_kept=fits)


def _fail(call: Call, item: Item, word: Fail) -> Verdict:
    """Take a failure. One that comes after the lease lapsed costs nothing more: only its error is kept."""
    if item.status is not Status.CLAIMED:
        call.end_attempt(item, "FAILED", word.failure)
        return _answer(item)
    fatal = word.non_retryable or word.error_type in item.new.fatal_error_types.split("\n")
    retry_after = word.retry_after_ms if word.retry_after_ms >= 0 else None
    delay = call.retry_or_bury(item, "FAILED", word.failure, fatal=fatal, retry_after=retry_after)
    return _answer(item)._replace(retry_ms=delay)


def _release(call: Call, item: Item, word: Release) -> Verdict:
    """Take an item back at no cost; but not for ever, unless its workers are leaving."""
    if item.status is not Status.CLAIMED:
        return _answer(item)
    item.releases += not word.draining
    failure = f'{{"type":"RELEASED","message":{word.reason}}}'
    if item.releases > MAX_RELEASES:
        call.end_attempt(item, "RELEASED", failure)
        call.bury(item, "RELEASED_TOO_OFTEN")
        return _answer(item)
    call.next_attempt(item, "RELEASED", call.after(word.delay_ms), failure)
    return _answer(item)._replace(retry_ms=word.delay_ms)
