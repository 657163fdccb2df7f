"""Reports on their way: kept until the server has given its verdict, repeated on the next session."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2, work_stream_pb2
from bloge_worker._leases import HeldLease
from bloge_worker._tally import ACCEPTED, REPORT_KINDS, kind_of
from bloge_worker._tracing import ReportSpans
from bloge_worker.outcomes import Report, report_failure

MAX_FRAME_BYTES = 3 * 1024 * 1024 - 64 * 1024
"""The limit is 3 MiB; the rest is for tags and lengths."""

MAX_FRAME_REPORTS = 500
_TAG_BYTES = 8

REPEAT_AFTER = 1.0
"""Seconds before a report is repeated that the server could not judge, for example because its store is away."""

NOT_JUDGED = frozenset(
    {
        Reason.STORE_UNAVAILABLE,
        Reason.STORE_FULL,
        Reason.SERVER_DRAINING,
        Reason.UNKNOWN_SCHEMA,
        Reason.INTERNAL,
    }
)
"""Reasons that say nothing about the lease."""

_MOST_DEFECTS = 10
"""How often one report may meet INTERNAL before it is given up."""

_UNFIT = frozenset({Reason.TOO_LARGE, Reason.INVALID_FIELD})

Sendable = TypeVar("Sendable", bound=Report | lease_pb2.HeartbeatReport)

_log = logging.getLogger("bloge_worker")


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat without its verdict."""

    held: HeldLease
    sent_at: float
    carries_progress: bool


class ReportBook:
    """Reports without a verdict. Report ids are unique in the life of the worker, so they outlast sessions."""

    def __init__(self) -> None:
        self.verdicts: Counter[tuple[str, str]] = Counter({(kind, ACCEPTED): 0 for kind in REPORT_KINDS})
        """Final verdicts by kind of report and reason, `ACCEPTED` if there is none."""
        self.repeat_at = inf
        """When `repeat` has something to do at the earliest."""
        self._last_id = 0
        self._unverdicted: dict[int, Report] = {}
        self._beats: dict[int, Beat] = {}
        self._outgoing: list[Report] = []
        self._outgoing_beats: list[lease_pb2.HeartbeatReport] = []
        self._not_judged: list[Report] = []
        self._defects: Counter[int] = Counter()
        self._spans = ReportSpans()

    def __len__(self) -> int:
        return len(self._unverdicted)

    def __bool__(self) -> bool:
        """Tell whether something waits to be sent or judged, heartbeats included."""
        return bool(self._unverdicted or self._outgoing_beats)

    @property
    def accepted(self) -> int:
        """Reports that the server accepted."""
        return sum(count for (_, reason), count in self.verdicts.copy().items() if reason == ACCEPTED)

    @property
    def rejected(self) -> int:
        """Reports that it refused."""
        return self.verdicts.copy().total() - self.accepted

    def add(self, report: Report, run_context: work_item_pb2.TraceContext | None = None) -> None:
        """Keep a report until its verdict, and send it with the next frames.

        Args:
            report: what to say.
            run_context: the trace context of the run that it is about, if it is traced.
        """
        self._last_id = report.report_id = self._last_id + 1
        self._spans.begin(report, run_context)
        self._unverdicted[self._last_id] = report
        self._outgoing.append(report)

    def add_beat(self, held: HeldLease, now: float) -> None:
        """Send a heartbeat with the next frames, with the progress that waits, unless some is on its way."""
        self._last_id += 1
        beat = lease_pb2.HeartbeatReport(lease_token=held.token, report_id=self._last_id)
        carries_progress = held.progress is not None and held.progress_sent is None
        if carries_progress:
            beat.progress = held.progress or b""
            held.progress, held.progress_sent = None, held.progress
        self._beats[self._last_id] = Beat(held, now, carries_progress)
        self._outgoing_beats.append(beat)

    def forget_session(self) -> None:
        """Drop what concerns the session that ended: heartbeats. Progress on its way waits again."""
        for beat in self._beats.values():
            if beat.carries_progress:
                beat.held.keep_progress()
        self._beats.clear()
        self._outgoing_beats.clear()

    def resend_all(self) -> None:
        """Send every report without a verdict again, for a new session."""
        self._outgoing = list(self._unverdicted.values())
        self._not_judged.clear()
        self.repeat_at = inf

    def repeat(self) -> None:
        """Send again what the server could not judge."""
        self._outgoing += self._not_judged
        self._not_judged.clear()
        self._defects = Counter({each: self._defects[each] for each in self._defects if each in self._unverdicted})
        self.repeat_at = inf

    def judge(self, verdicts: Iterable[lease_pb2.Verdict], now: float) -> list[tuple[Beat, lease_pb2.Verdict]]:
        """Settle reports by their verdicts, and return the verdicts on heartbeats."""
        beats = []
        for verdict in verdicts:
            report_id = verdict.report_id
            if not verdict.reason and (accepted := self._unverdicted.pop(report_id, None)) is not None:
                self.verdicts[kind_of(accepted), ACCEPTED] += 1
                self._spans.end(accepted)
            elif (beat := self._beats.pop(report_id, None)) is not None:
                beats.append((beat, verdict))
            elif (report := self._unverdicted.get(report_id)) is not None:
                self._refused(report, verdict, now)
        return beats

    def frames(self, limit: int) -> Iterator[work_stream_pb2.WorkRequest]:
        """Yield frames with all that is to be sent, heartbeats first: progress must arrive before its run's end does.

        Args:
            limit: the most reports in a frame.
        """
        beats, self._outgoing_beats = self._outgoing_beats, []
        reports, self._outgoing = self._outgoing, []
        for beat_batch in _batches(beats, limit):
            yield work_stream_pb2.WorkRequest(reports=work_stream_pb2.Reports(heartbeats=beat_batch))
        for batch in _batches(reports, limit):
            yield work_stream_pb2.WorkRequest(reports=_sorted_by_kind(batch))

    def _refused(self, report: Report, verdict: lease_pb2.Verdict, now: float) -> None:
        reason = Reason.from_number(verdict.reason)
        if reason in NOT_JUDGED and not self._is_hopeless(report, reason):
            self._not_judged.append(report)
            self.repeat_at = min(self.repeat_at, now + REPEAT_AFTER)
            return
        del self._unverdicted[report.report_id]
        self._spans.end(report, reason or Reason.INTERNAL)
        self.verdicts[kind_of(report), str(reason or "UNKNOWN")] += 1
        _log_refusal(report, reason, verdict)
        if reason in _UNFIT and not isinstance(report, lease_pb2.ReleaseReport) and not _is_final_failure(report):
            message = f"the server refused the worker's {type(report).__name__}: {reason}"
            self.add(report_failure(report.lease_token, "ReportRefused", message, final=True))

    def _is_hopeless(self, report: Report, reason: Reason | None) -> bool:
        """Tell whether the server has failed on this one report so often that it will again."""
        if reason is not Reason.INTERNAL:
            return False
        self._defects[report.report_id] += 1
        return self._defects[report.report_id] >= _MOST_DEFECTS


def _log_refusal(report: Report, reason: Reason | None, verdict: lease_pb2.Verdict) -> None:
    _log.warning(
        "the server refused a %s: %s%s%s",
        type(report).__name__,
        reason,
        f", by worker {verdict.superseded_by}" if verdict.superseded_by else "",
        "; the late output is kept with the item" if verdict.late_output_kept else "",
    )


def _is_final_failure(report: Report) -> bool:
    return isinstance(report, lease_pb2.FailReport) and report.failure.non_retryable


def _sorted_by_kind(batch: list[Report]) -> work_stream_pb2.Reports:
    return work_stream_pb2.Reports(
        completes=[each for each in batch if type(each) is lease_pb2.CompleteReport],
        fails=[each for each in batch if type(each) is lease_pb2.FailReport],
        releases=[each for each in batch if type(each) is lease_pb2.ReleaseReport],
    )


def _batches(reports: list[Sendable], limit: int) -> Iterator[list[Sendable]]:
    """Cut a list so that no batch exceeds the number of reports or the bytes of a frame."""
    batch: list[Sendable] = []
    size = 0
    for report in reports:
        report_size = report.ByteSize() + _TAG_BYTES
        if batch and (len(batch) >= limit or size + report_size > MAX_FRAME_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(report)
        size += report_size
    if batch:
        yield batch
