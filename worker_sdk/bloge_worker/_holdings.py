"""What a worker holds over all its sessions: leases and reports, and how verdicts and cancels change them. No I/O."""

from collections.abc import Iterable
from math import inf
from random import Random

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2
from bloge_worker._durations import seconds_of
from bloge_worker._effects import Effects
from bloge_worker._leases import ATTEMPT_TIMEOUT, DRAINING, HeldLease, LeaseBook
from bloge_worker._reports import NOT_JUDGED, Beat, ReportBook
from bloge_worker._session import Session
from bloge_worker.outcomes import Report, report_release

DEFAULT_LEASE = 30.0

# The lease is over, but if nobody claimed the item since, finished work still counts; else it is kept as a late output,
# for people to see and adopt.
_WORTH_REPORTING = frozenset(
    {
        Reason.LEASE_EXPIRED,
        Reason.OFFER_WITHDRAWN,
        Reason.SUPERSEDED,
        Reason.DEADLINE_PASSED,
        Reason.DEAD_LETTERED,
        ATTEMPT_TIMEOUT,
    }
)


class Holdings:
    """Leases that run and reports without a verdict.

    `starts`, `cancels` and `asks` collect what the shell is to do.

    Args:
        random: gives the jitter of heartbeats.
    """

    def __init__(self, random: Random) -> None:
        self.leases = LeaseBook(random)
        self.reports = ReportBook()
        self.done = 0
        self.failed = 0
        self.starts: list[HeldLease] = []
        self.cancels: list[tuple[HeldLease, str]] = []
        self.asks: list[HeldLease] = []
        self._progressed: dict[HeldLease, None] = {}

    @property
    def is_empty(self) -> bool:
        """True while nothing runs and no report waits."""
        return not self.leases and not self.reports

    def wakeup(self, *, connected: bool) -> float:
        """Return when `check` has something to do."""
        return min(self.leases.next_check, self.reports.repeat_at if connected else inf)

    def hand_over(self, effects: Effects) -> None:
        """Move what the shell is to do about handlers that run to the effects."""
        effects.cancels, self.cancels = self.cancels, []
        effects.asks, self.asks = self.asks, []

    def offered(self, session: Session, leases: Iterable[lease_pb2.Lease], now: float, *, draining: bool) -> None:
        """Take leases whose receipt goes out now."""
        items = payload_bytes = 0
        default, jitter = session.lease_duration or DEFAULT_LEASE, self.leases.draw_jitter()
        for lease in leases:
            held = self.leases.describe(lease, now, default, jitter)
            items += 1
            payload_bytes += held.payload_bytes
            session.credits.offered_of(held.key[0])
            self._take(held, draining=draining)
        session.credits.offered(items, payload_bytes)

    def adopted(self, lease: lease_pb2.Lease, claimed_at: float, *, draining: bool) -> None:
        """Take a lease that no session has offered."""
        self._take(self.leases.describe(lease, claimed_at, DEFAULT_LEASE, self.leases.draw_jitter()), draining=draining)

    def take_starts(self, now: float) -> list[HeldLease]:
        """Return the leases to run. One that was lost in the turn in which it came is over before it began."""
        starts, self.starts = self.starts, []
        for held in starts:
            if held.lost is not None:
                self.finished(held, None, now, draining=False)
        return [held for held in starts if held.lost is None]

    def finished(self, held: HeldLease, report: Report | None, now: float, *, draining: bool) -> None:
        """Take the end of a handler: its report, or None if it was stopped."""
        if not self.leases.remove(held):
            return
        final = _final_report(held, report)
        if draining and isinstance(final, lease_pb2.ReleaseReport):
            final.draining = True  # whatever its reason, it leaves with the worker
        if final is None:
            return
        if type(final) is lease_pb2.CompleteReport or _is_business_error(final):
            self.done += 1
        else:
            self.failed += type(final) is lease_pb2.FailReport
            if held.progress is not None:
                # The next attempt wants to know how far this one came, and this is the last chance to tell.
                held.progress_sent = None
                self.reports.add_beat(held, now)
        self.reports.add(final, held.run_context)

    def progressed(self, held: HeldLease, details: bytes) -> None:
        """Take progress of a handler. Only the newest is sent."""
        if held.lost is None:
            held.progress = details
            self._progressed[held] = None

    def send_progress(self, now: float) -> None:
        """Have progress sent that came since the last call; where some is on its way, the verdict on it comes first."""
        for held in self._progressed:
            if held.lost is None and held.progress_sent is None:
                self.reports.add_beat(held, now)
        self._progressed.clear()

    def judged(self, verdicts: Iterable[lease_pb2.Verdict], now: float) -> None:
        """Take verdicts."""
        beats = self.reports.judge(verdicts, now)
        jitter = self.leases.draw_jitter()
        for beat, verdict in beats:
            if verdict.reason:
                self._beat_refused(beat, verdict)
            else:
                self._beat_accepted(beat, verdict, now, jitter)

    def cancelled(self, cancels: work_stream_pb2.Cancels) -> None:
        """Take cancels, of which a handler of a later claim knows nothing, and wishes that executions be cancelled."""
        for cancel in cancels.cancels:
            held = self.leases.newest((cancel.worker_topic, cancel.item_id))
            if held is not None and held.fence <= cancel.fence:
                self.lose(held, str(Reason.from_number(cancel.reason) or Reason.CANCELLED))
        for request in cancels.requests:
            held = self.leases.newest((request.worker_topic, request.item_id))
            if held is not None and held.fence == request.fence:
                self._ask(held)

    def resumed(self, session: Session, verdicts: Iterable[lease_pb2.Verdict]) -> None:
        """Keep or drop the leases that were named in `Hello`, and have all reports sent again."""
        jitter = self.leases.draw_jitter()
        for held, verdict in zip(session.named, verdicts, strict=False):
            reason = Reason.from_number(verdict.reason)
            if reason is None:
                self.leases.extend(held, session.opened_at, seconds_of(verdict.lease_duration), jitter)
            elif reason not in NOT_JUDGED:
                self.lose(held, reason)
        self.reports.forget_session()
        self.reports.resend_all()

    def disconnected(self, session: Session) -> None:
        """Take the end of the session that leases and reports relied on."""
        self.leases.doubt_receipts(session.receipts_arrived_until, session.offer_duration)
        self.reports.forget_session()

    def check(self, now: float, *, connected: bool) -> None:
        """Beat leases, stop handlers whose lease runs out, repeat reports."""
        if now >= self.leases.next_check:
            beats, expired = self.leases.check(now)
            for held in expired:
                self.lose(held, held.stop_reason(now))
            for held in beats if connected else ():
                self.reports.add_beat(held, now)
        if connected and now >= self.reports.repeat_at:
            self.reports.repeat()

    def lose(self, held: HeldLease, reason: str) -> None:
        """Stop the handler of a lease that is over, if it has not ended by itself meanwhile."""
        if held.is_kept and held in self.leases:
            held.lost = reason
            self.cancels.append((held, reason))

    def stop_all(self) -> None:
        """Stop every handler because the worker leaves; what is stopped is handed back when it has ended."""
        for held in self.leases.live():
            self.lose(held, DRAINING)

    def abandon_all(self, now: float) -> None:
        """Hand back what has not ended yet, whether or not its handler ever will."""
        for held in list(self.leases):
            self.finished(held, None, now, draining=True)

    def _take(self, held: HeldLease, *, draining: bool) -> None:
        if draining:
            self.reports.add(report_release(held.token, 0.0, "the worker is leaving", draining=True))
        elif self._is_news(held):
            self.leases.hold(held)
            self.starts.append(held)

    def _is_news(self, held: HeldLease) -> bool:
        """Tell whether to run a lease: the newest claim of an item wins, an older handler is stopped."""
        rival = self.leases.newest(held.key)
        if rival is None:
            return True
        if rival.fence >= held.fence:
            return False
        self.lose(rival, Reason.SUPERSEDED)
        return True

    def _beat_accepted(self, beat: Beat, verdict: lease_pb2.Verdict, now: float, jitter: float) -> None:
        held = beat.held
        if beat.carries_progress:
            held.progress_sent = None
        if held.is_kept:
            self.leases.extend(held, beat.sent_at, seconds_of(verdict.lease_duration), jitter)
            if held.progress is not None:
                self.reports.add_beat(held, now)
            if verdict.cancel_requested:
                self._ask(held)

    def _ask(self, held: HeldLease) -> None:
        """Have a handler cancel its execution; once is enough, however often the server says it."""
        if held.lost is None and not held.cancel_asked:
            held.cancel_asked = True
            self.asks.append(held)

    def _beat_refused(self, beat: Beat, verdict: lease_pb2.Verdict) -> None:
        reason = Reason.from_number(verdict.reason)
        if beat.carries_progress:
            beat.held.keep_progress()
        if reason is not None and reason not in NOT_JUDGED:
            self.lose(beat.held, reason)


def _final_report(held: HeldLease, report: Report | None) -> Report | None:
    """Return what is worth saying about a lease that may be over."""
    if held.lost is None:
        return report
    if held.lost == DRAINING:
        # A handler that fails because it was stopped must not cost the item a retry.
        if isinstance(report, lease_pb2.CompleteReport) or _is_business_error(report):
            return report
        return report_release(held.token, 0.0, "the worker is leaving", draining=True)
    worth = held.lost in _WORTH_REPORTING
    return report if worth and (isinstance(report, lease_pb2.CompleteReport) or _is_business_error(report)) else None


def _is_business_error(report: Report | None) -> bool:
    return isinstance(report, lease_pb2.FailReport) and report.HasField("business_error")
