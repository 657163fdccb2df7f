"""What reports do to the items of the fake control plane."""

from collections.abc import Callable

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_worker._durations import duration_of, seconds_of
from bloge_worker.testing._judgement import Judgement, Token, judge, unknown, verdict
from bloge_worker.testing._life import Life
from bloge_worker.testing._record import Record

MAX_DETAILS_BYTES = 64 * 1024
MOST_RELEASES = 100
_LONGEST_RETRY_DELAY, _LONGEST_RELEASE_DELAY = 7 * 86_400.0, 86_400.0
_SHORTEST_LEASE, _LONGEST_LEASE = 1.0, 3600.0
_NAME_CHARS = 256

Report = lease_pb2.HeartbeatReport | lease_pb2.CompleteReport | lease_pb2.FailReport | lease_pb2.ReleaseReport
Find = Callable[[str, str, str, float], Record | None]
"""Returns an item by namespace, topic and id, up to date."""


def clamp_lease(wanted: float) -> float:
    """Return the lease in seconds that is given for the one that is wanted."""
    return min(max(wanted, _SHORTEST_LEASE), _LONGEST_LEASE)


class Reporting:
    """Takes reports and receipts, and answers each with a verdict.

    Args:
        life: carries out how items end.
        find: returns items.
    """

    def __init__(self, life: Life, find: Find) -> None:
        self._life = life
        self._find = find
        self.max_payload_bytes = 1024 * 1024

    def take(self, report: Report, now: float) -> lease_pb2.Verdict:
        """Take a report that is well-formed or not."""
        token = Token.parse(report.lease_token)
        if token is None:
            return unknown(Reason.INVALID_TOKEN)
        refusal = self._malformed(report)
        if refusal is not None:
            return unknown(refusal)
        record = self._find(token.namespace, token.worker_topic, token.item_id, now)
        return unknown(Reason.NOT_FOUND) if record is None else self._judge(record, token, report, now)

    def receive(self, token: Token, now: float) -> lease_pb2.Verdict:
        """Confirm an offer: the full lease begins."""
        record = self._find(token.namespace, token.worker_topic, token.item_id, now)
        if record is None:
            return unknown(Reason.NOT_FOUND)
        judged = judge(record, token, "receipt", b"", now)
        if judged.answer is not None:
            return judged.answer
        if record.item.status != pb.WORK_ITEM_STATUS_CLAIMED:
            return verdict(record, Reason.OFFER_WITHDRAWN)
        if not record.item.received:
            assert record.claim is not None, "it was judged"
            record.item.received = True
            record.lease_until = min(now + record.claim.lease, record.attempt_ends_at)
        return verdict(record)

    def _judge(self, record: Record, token: Token, report: Report, now: float) -> lease_pb2.Verdict:
        match report:
            case lease_pb2.HeartbeatReport():
                return self._beat(record, token, report, now)
            case lease_pb2.CompleteReport():
                return self._complete(record, token, report, now)
            case lease_pb2.FailReport():
                return self._fail(record, token, report, now)
            case _:
                return self._release(record, token, report, now)

    def _malformed(self, report: Report) -> Reason | None:
        """Return what is wrong with a report whatever its item."""
        match report:
            case lease_pb2.CompleteReport() if len(report.output) > self.max_payload_bytes:
                return Reason.TOO_LARGE
            case lease_pb2.CompleteReport() if report.cancelled:
                return Reason.INVALID_FIELD  # Only the owner of a graph carries out a cancellation.
            case lease_pb2.FailReport() if report.HasField("business_error"):
                error = report.business_error
                if len(error.details) > MAX_DETAILS_BYTES:
                    return Reason.TOO_LARGE
                return None if 0 < len(error.code) <= _NAME_CHARS else Reason.INVALID_FIELD
            case lease_pb2.FailReport() if not report.failure.type:
                return Reason.INVALID_FIELD
            case _:
                return None

    def _beat(self, record: Record, token: Token, report: lease_pb2.HeartbeatReport, now: float) -> lease_pb2.Verdict:
        judged = judge(record, token, "heartbeat", b"", now)
        if judged.answer is not None:
            return judged.answer
        item, claim = record.item, record.claim
        assert claim is not None, "it was judged"
        wanted = clamp_lease(seconds_of(report.lease_duration)) if report.HasField("lease_duration") else claim.lease
        until = min(now + wanted, record.attempt_ends_at)
        if item.status != pb.WORK_ITEM_STATUS_CLAIMED:
            if item.status == pb.WORK_ITEM_STATUS_DEAD_LETTER or until <= now:
                return verdict(record, Reason.LEASE_EXPIRED)
            # Nobody took over: the claim goes on.
            record.begin_attempt(claim)
            record.place(pb.WORK_ITEM_STATUS_CLAIMED)
            record.lease_until = now
        record.lease_until = max(record.lease_until, until)
        item.received = True
        if report.HasField("progress") and len(report.progress) <= MAX_DETAILS_BYTES:
            item.progress = report.progress
            item.lease_loss_count = 0
        answer = verdict(record)
        answer.lease_duration.CopyFrom(duration_of(record.lease_until - now))
        return answer

    def _complete(
        self, record: Record, token: Token, report: lease_pb2.CompleteReport, now: float
    ) -> lease_pb2.Verdict:
        judged = judge(record, token, "complete", report.output, now)
        if judged.answer is None:
            record.end_attempt(pb.ATTEMPT_END_COMPLETED, now)
            answer = self._finish(record, pb.Outcome(kind=pb.OUTCOME_KIND_COMPLETED, output=report.output), now)
            return _decide(judged, "complete", report.output, answer)
        if judged.is_first_refusal and judged.claim is not None:
            reason = str(Reason.from_number(judged.answer.reason))
            judged.answer.late_output_kept = record.keep_late_output(judged.claim, report, reason, now)
            return _decide(judged, "complete", report.output, judged.answer)
        return judged.answer

    def _fail(self, record: Record, token: Token, report: lease_pb2.FailReport, now: float) -> lease_pb2.Verdict:
        kind = "business_error" if report.HasField("business_error") else "fail"
        content = report.failure.SerializeToString() or report.business_error.SerializeToString()
        judged = judge(record, token, kind, content, now)
        if judged.answer is not None:
            return _decide(judged, kind, content, judged.answer) if judged.is_first_refusal else judged.answer
        if kind == "business_error":
            record.end_attempt(pb.ATTEMPT_END_BUSINESS_ERROR, now)
            outcome = pb.Outcome(kind=pb.OUTCOME_KIND_FAILED, business_error=report.business_error)
            return _decide(judged, kind, content, self._finish(record, outcome, now))
        return _decide(judged, kind, content, self._take_failure(record, report.failure, now))

    def _take_failure(self, record: Record, failure: pb.Failure, now: float) -> lease_pb2.Verdict:
        if record.item.status != pb.WORK_ITEM_STATUS_CLAIMED:
            # The loss of the lease was counted; the error is only kept.
            record.end_attempt(pb.ATTEMPT_END_FAILED, now, failure=failure)
            return verdict(record)
        policy = record.spec.retry_policy
        fatal = failure.non_retryable or failure.type in policy.non_retryable_error_types
        asked = min(max(0.0, seconds_of(failure.retry_after)), _LONGEST_RETRY_DELAY)
        delay = self._life.retry_or_bury(
            record,
            pb.ATTEMPT_END_FAILED,
            failure,
            now,
            fatal=fatal,
            delay=asked if failure.HasField("retry_after") else None,
        )
        answer = verdict(record)
        if delay is not None:
            answer.retry_delay.CopyFrom(duration_of(delay))
        return answer

    def _release(self, record: Record, token: Token, report: lease_pb2.ReleaseReport, now: float) -> lease_pb2.Verdict:
        delay = min(max(0.0, seconds_of(report.delay)), _LONGEST_RELEASE_DELAY)
        content = repr(delay).encode()
        judged = judge(record, token, "release", content, now)
        if judged.answer is not None:
            return _decide(judged, "release", content, judged.answer) if judged.is_first_refusal else judged.answer
        was_held = record.item.status == pb.WORK_ITEM_STATUS_CLAIMED
        if was_held:
            self._hand_back(record, report, delay, now)
        answer = verdict(record)
        if was_held and record.item.status != pb.WORK_ITEM_STATUS_DEAD_LETTER:
            answer.retry_delay.CopyFrom(duration_of(delay))
        return _decide(judged, "release", content, answer)

    def _hand_back(self, record: Record, report: lease_pb2.ReleaseReport, delay: float, now: float) -> None:
        failure = pb.Failure(type="RELEASED", message=report.reason[:_NAME_CHARS])
        record.releases += not report.draining
        if record.releases > MOST_RELEASES:
            record.end_attempt(pb.ATTEMPT_END_RELEASED, now, failure=failure)
            self._life.bury(record, pb.DEAD_LETTER_REASON_RELEASED_TOO_OFTEN, now)
        elif delay:
            record.end_attempt(pb.ATTEMPT_END_RELEASED, now, failure=failure, due=now + delay)
            record.place(pb.WORK_ITEM_STATUS_RETRY_WAIT, due=now + delay)
        else:
            record.end_attempt(pb.ATTEMPT_END_RELEASED, now, failure=failure)
            record.place(pb.WORK_ITEM_STATUS_READY)

    def _finish(self, record: Record, outcome: pb.Outcome, now: float) -> lease_pb2.Verdict:
        record.place(pb.WORK_ITEM_STATUS_DONE)
        self._life.emit(record, outcome, now)
        return verdict(record)


def _decide(judged: Judgement, kind: str, content: bytes, answer: lease_pb2.Verdict) -> lease_pb2.Verdict:
    """Remember the answer that decided a token, and return it."""
    if judged.claim is not None:
        judged.claim.decisions.append((kind, content, answer))
    return answer
