"""Judges reports of the fake control plane by their lease tokens."""

from typing import NamedTuple

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_worker._durations import duration_of
from bloge_worker.testing._record import CLAIMS_KEPT, Claim, Record

_FINISHES = frozenset({"complete", "cancelled", "business_error"})


class Token(NamedTuple):
    """A lease token in its parts."""

    namespace: str
    worker_topic: str
    item_id: str
    fence: int
    nonce: str

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """Return the parts of a token; None if it cannot be one."""
        parts = text.split("/")
        if len(parts) != len(cls._fields) or not parts[3].isdigit():
            return None
        namespace, worker_topic, item_id, fence, nonce = parts
        return cls(namespace, worker_topic, item_id, int(fence), nonce)


class Judgement(NamedTuple):
    """What a token may do."""

    claim: Claim | None
    """The claim it names; None if it was not issued, or is not remembered."""
    answer: lease_pb2.Verdict | None
    """None: the report may take effect."""
    is_first_refusal: bool = False
    """True: the answer is to be remembered, and a refused output kept."""


def verdict(record: Record, reason: Reason | None = None) -> lease_pb2.Verdict:
    """Return a verdict that tells where the item stands."""
    answer = lease_pb2.Verdict(status=record.item.status)
    if reason is not None:
        answer.reason = reason.number
    return answer


def unknown(reason: Reason) -> lease_pb2.Verdict:
    """Return a verdict on a token that does not allow to know where the item stands."""
    return lease_pb2.Verdict(reason=reason.number)


def judge(record: Record, token: Token, kind: str, content: bytes, now: float) -> Judgement:
    """Judge a token that reports something. The record must be up to date.

    Args:
        record: the token's item.
        token: what was shown.
        kind: of the report.
        content: what it says, to tell a repetition from another report.
        now: the time.
    """
    claim = record.claim_of(token.fence)
    if claim is None:
        # Too old to remember: its nonce cannot be checked, so it learns that it is over and nothing else.
        forgotten = len(record.earlier) == CLAIMS_KEPT and token.fence < record.earlier[0].fence
        return Judgement(None, unknown(Reason.SUPERSEDED if forgotten else Reason.INVALID_TOKEN))
    if claim.nonce != token.nonce:
        return Judgement(None, unknown(Reason.INVALID_TOKEN))
    decided = _decided(record, claim, kind, content)
    if decided is not None:
        return decided
    if claim is not record.claim:
        return Judgement(claim, _by_successor(record, now), is_first_refusal=True)
    reason = _over(record)
    answer = None if reason is None else verdict(record, reason)
    return Judgement(claim, answer, is_first_refusal=answer is not None)


def _decided(record: Record, claim: Claim, kind: str, content: bytes) -> Judgement | None:
    """Return the judgement on a token that has decided something; None if it may still act."""
    for decided_kind, decided_content, answer in claim.decisions:
        if (decided_kind, decided_content) == (kind, content):
            return Judgement(claim, answer)
    if claim.timed_out:
        return Judgement(claim, verdict(record, Reason.LEASE_EXPIRED), is_first_refusal=True)
    if not claim.decisions:
        return None
    # A release hands the right to run back, but work that was finished all the same counts if nobody took over.
    last_kind, _, last_answer = claim.decisions[-1]
    handed_back = claim is record.claim and last_kind == "release" and not last_answer.reason
    if handed_back and kind in _FINISHES and _over(record) is None:
        return None
    return Judgement(claim, verdict(record, Reason.CONFLICTING_REPORT))


def _over(record: Record) -> Reason | None:
    """Return why the item's last token can do nothing any more; None if it can."""
    item = record.item
    if item.outcome.kind == pb.OUTCOME_KIND_TIMED_OUT:
        return Reason.DEADLINE_PASSED
    if item.outcome.kind == pb.OUTCOME_KIND_CANCELLED:
        return Reason.CANCELLED
    if item.status == pb.WORK_ITEM_STATUS_DONE:
        return Reason.ALREADY_DONE_BY_OTHER
    # Late work still saves an item that became a dead letter for its lost leases.
    lost = item.dead_letter_reason == pb.DEAD_LETTER_REASON_LEASE_LOST and record.is_open
    if item.status == pb.WORK_ITEM_STATUS_DEAD_LETTER and not lost:
        return Reason.DEAD_LETTERED
    return None


def _by_successor(record: Record, now: float) -> lease_pb2.Verdict:
    done = record.item.status == pb.WORK_ITEM_STATUS_DONE
    answer = verdict(record, Reason.ALREADY_DONE_BY_OTHER if done else Reason.SUPERSEDED)
    assert record.claim is not None, "somebody claimed it"
    answer.superseded_by = record.claim.worker_id
    answer.superseded_ago.CopyFrom(duration_of(max(0.0, now - record.claim.at)))
    return answer
