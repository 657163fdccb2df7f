"""Drives the worker's sans-I/O core as its shell and a server would."""

from random import Random
from typing import Any

from unit.worker_sdk.scripted_server import welcome

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker._core import WorkerCore
from bloge_worker._effects import Effects, StreamEnd
from bloge_worker._holdings import Holdings
from bloge_worker._leases import HeldLease
from bloge_worker.config import WorkerConfig
from bloge_worker.outcomes import Report, report_error, report_output

ACCEPTED = error_reason_pb2.ERROR_REASON_UNSPECIFIED


class CoreDriver:
    """A core at a time that the test sets."""

    def __init__(self, topic_limits: dict[str, int] | None = None, **settings: Any) -> None:
        config = WorkerConfig(worker_id="worker-1", **{"slots": 8, **settings})
        self.core = WorkerCore(config, topic_limits or {"topic": config.slots}, Random(7))
        self.now = 1000.0
        self.effects = Effects()
        self.number = 0
        self.sequence = 0
        self.core.start(self.now)

    @property
    def holdings(self) -> Holdings:
        """Leases and reports."""
        return self.core.holdings

    def turn(self, seconds: float = 0.0) -> Effects:
        """Let time pass and take one turn, as the shell does after events."""
        self.now += seconds
        self.core.tick(self.now)
        self.effects = self.core.flush(self.now)
        if self.effects.opens:
            self.number = self.effects.opens[-1]
        return self.effects

    def connect(self, **settings: Any) -> Effects:
        """Open a session: wait for its time, say Hello, be welcomed."""
        while not self.turn().opens:
            self.now = self.core.wakeup()
        return self.be_welcomed(**settings)

    def be_welcomed(self, **settings: Any) -> Effects:
        """Welcome the session that was opened last."""
        self.sequence = 0
        return self.receive(welcome=welcome(**settings))

    def receive(self, number: int = 0, **frame: Any) -> Effects:
        """Give the core a frame and take a turn."""
        self.core.receive(number or self.number, work_stream_pb2.WorkResponse(**frame), self.now)
        return self.turn()

    def offer(self, *leases: lease_pb2.Lease) -> list[HeldLease]:
        """Offer leases in one frame; return those that start."""
        self.sequence += 1
        offers = work_stream_pb2.Offers(offer_sequence=self.sequence, leases=leases)
        return self.receive(offers=offers).starts

    def adopt(self, lease: lease_pb2.Lease, claimed_at: float) -> None:
        """Give the core a lease that was claimed elsewhere."""
        self.holdings.adopted(lease, claimed_at, draining=self.core.is_draining)

    def judge(self, *verdicts: lease_pb2.Verdict) -> Effects:
        """Give verdicts and take a turn."""
        return self.receive(verdicts=work_stream_pb2.Verdicts(verdicts=verdicts))

    def accept(self, *reports: Any) -> Effects:
        """Accept reports and take a turn."""
        return self.judge(*(lease_pb2.Verdict(report_id=each.report_id) for each in reports))

    def complete(self, held: HeldLease, output: Any = "done") -> Effects:
        """Have a handler return, and take a turn."""
        return self.finish(held, report_output(held.token, output, raw=False, limit=1024))

    def fail(self, held: HeldLease, error: BaseException) -> Effects:
        """Have a handler raise, and take a turn."""
        return self.finish(held, report_error(held.token, error))

    def finish(self, held: HeldLease, report: Report | None) -> Effects:
        """End a run, and take a turn."""
        self.core.finished(held, report, self.now)
        return self.turn()

    def break_stream(self, code: str = "UNAVAILABLE", **facts: Any) -> Effects:
        """End the current stream from outside, and take a turn."""
        self.core.stream_ended(self.number, StreamEnd(code, "gone", **facts), self.now)
        return self.turn()

    def sent(self, kind: str) -> list[Any]:
        """Return the contents of the frames of a kind that the last turn sent."""
        return [getattr(frame, kind) for _, frame in self.effects.frames if frame.WhichOneof("frame") == kind]

    def reports(self, kind: str) -> list[Any]:
        """Return the reports of a kind that the last turn sent."""
        return [report for frame in self.sent("reports") for report in getattr(frame, kind)]

    def cancels(self) -> list[tuple[str, str]]:
        """Return the items whose handlers the last turn stops, and why."""
        return [(held.key[1], str(reason)) for held, reason in self.effects.cancels]


def verdict(report: Any, reason: error_reason_pb2.ErrorReason.ValueType = ACCEPTED, **facts: Any) -> lease_pb2.Verdict:
    """Return a verdict on a report."""
    return lease_pb2.Verdict(report_id=report.report_id, reason=reason, **facts)
