"""Counts what handlers did and what the server made of it. Written by the lease keeper's thread, read by any."""

from bisect import bisect_left
from collections.abc import Iterable
from enum import StrEnum

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker.handlers import Handler
from bloge_worker.outcomes import Report
from bloge_worker.stats import RUN_SECONDS, HandlerStats

ACCEPTED = "ACCEPTED"
"""The verdict on a report that the server took."""


class End(StrEnum):
    """How one run of a handler ended."""

    COMPLETED = "completed"
    BUSINESS_ERROR = "business_error"
    FAILED = "failed"
    REJECTED = "rejected"
    RETRY_LATER = "retry_later"
    RELEASED = "released"
    STOPPED = "stopped"
    """It was told to stop, and has nothing to report."""


_ENDS = {"Rejected": End.REJECTED, "RetryLater": End.RETRY_LATER}
REPORT_KINDS = ("complete", "business_error", "fail", "release")
"""Kinds of reports that end a run."""

_KINDS = {lease_pb2.CompleteReport: "complete", lease_pb2.FailReport: "fail", lease_pb2.ReleaseReport: "release"}


def end_of(report: Report | None) -> End:
    """Return how the run ended that has this to report."""
    match report:
        case None:
            return End.STOPPED
        case lease_pb2.CompleteReport():
            return End.COMPLETED
        case lease_pb2.ReleaseReport():
            return End.RELEASED
        case _ if report.HasField("business_error"):
            return End.BUSINESS_ERROR
        case _:
            return _ENDS.get(report.failure.type, End.FAILED)


def kind_of(report: Report) -> str:
    """Return the name of a report's kind: `complete`, `business_error`, `fail` or `release`."""
    if isinstance(report, lease_pb2.FailReport) and report.HasField("business_error"):
        return "business_error"
    return _KINDS[type(report)]


class RunTimes:
    """A histogram of run times in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(RUN_SECONDS) + 1)
        """Runs in each bucket, the last one without an upper bound."""
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count a run."""
        self.counts[bisect_left(RUN_SECONDS, seconds)] += 1
        self.total += seconds


class Tally:
    """The counters of one worker's handlers.

    Args:
        handlers: each has its place from the start, so that a counter that never moved reads 0.
    """

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self.ends = {handler: dict.fromkeys(End, 0) for handler in handlers}
        self.run_times = {handler: RunTimes() for handler in handlers}

    def ended(self, handler: Handler, report: Report | None, seconds: float | None) -> None:
        """Count the end of a run.

        Args:
            handler: whose run it was.
            report: what it reports.
            seconds: how long it ran; None: it was ended before it began.
        """
        self.ends[handler][end_of(report)] += 1
        if seconds is not None:
            self.run_times[handler].add(seconds)

    def handlers(self) -> tuple[HandlerStats, ...]:
        """Return the counters of each handler."""
        return tuple(
            HandlerStats(
                worker_topic=handler.worker_topic,
                operator=handler.operator,
                ends={str(end): count for end, count in ends.items()},
                run_seconds=self.run_times[handler].total,
                run_counts=tuple(self.run_times[handler].counts),
            )
            for handler, ends in self.ends.items()
        )
