"""Reports by unary calls, for as long as no stream comes back."""

import logging
from math import inf

from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker._holdings import Holdings
from bloge_worker._reports import MAX_FRAME_REPORTS

TRY_AFTER = 2.0
"""Seconds without a session after which reports go by unary calls: most streams are back sooner."""

AGAIN_AFTER = 1.0
"""Seconds between two such rounds, and before a failed one is repeated."""

_log = logging.getLogger("bloge_worker")


class Twin:
    """The unary twin of the stream: says what is to be reported, one round at a time.

    A proxy may let calls through and no streams; a server that drains takes reports and no sessions. Reports and
    heartbeats mean the same on both ways, so that a round which overlaps with a new session does no harm.
    """

    def __init__(self) -> None:
        self._due_at = inf
        self._is_out = False
        self._is_told = False

    def lost_session(self, now: float) -> None:
        """Begin to wait for a session."""
        self._due_at = min(self._due_at, now + TRY_AFTER)

    def found_session(self) -> None:
        """Stop: the stream is back."""
        self._due_at = inf
        self._is_told = False

    def hurry(self, now: float) -> None:
        """Wait no longer for a session, because the worker leaves."""
        if self._due_at < inf:
            self._due_at = now

    def is_due(self, now: float) -> bool:
        """Tell whether a round may go out."""
        return now >= self._due_at and not self._is_out

    def wakeup(self, holdings: Holdings) -> float:
        """Return when a round is due, if there is something to report."""
        return inf if self._is_out or not holdings.reports else self._due_at

    def take(self, holdings: Holdings, now: float) -> list[work_stream_pb2.Reports]:
        """Return what to report in this round: every report without a verdict, heartbeats that are due, progress."""
        holdings.reports.resend_all()
        holdings.send_progress(now)
        batches = [frame.reports for frame in holdings.reports.frames(MAX_FRAME_REPORTS)]
        self._is_out = bool(batches)
        if self._is_out and not self._is_told:
            self._is_told = True
            _log.warning("no session: %d reports go by unary calls until there is one", len(holdings.reports))
        return batches

    def answered(self, holdings: Holdings, now: float, *, wholly: bool) -> None:
        """Take the end of a round, after its verdicts."""
        self._is_out = False
        if self._due_at < inf:
            self._due_at = now + AGAIN_AFTER
            if not wholly:
                holdings.reports.forget_session()
