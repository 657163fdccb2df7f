"""What the log says about runs: why and how one is stopped, and how one ended."""

import logging

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._leases import ATTEMPT_TIMEOUT, DRAINING
from bloge_worker._runs import Run
from bloge_worker._tally import End, end_of
from bloge_worker.context import item_logger
from bloge_worker.handlers import Executor
from bloge_worker.outcomes import Report

_WHY = {
    Reason.LEASE_EXPIRED: "its lease ran out, as nothing confirmed it for %.0f s; another worker may run the item",
    ATTEMPT_TIMEOUT: "it has run for %.0f s, as long as its attempt timeout allows",
    Reason.DEADLINE_PASSED: "its suspend deadline has passed; the node has gone on without it",
    Reason.CANCELLED: "the item was cancelled",
    Reason.SUPERSEDED: "a later claim of the item has taken over",
    Reason.OFFER_WITHDRAWN: "the receipt of its offer came too late; another worker may run it",
    DRAINING: "the worker leaves, and its grace is over; the item is handed back",
}
_HOW: dict[Executor, str] = {
    "async": "its coroutine is cancelled",
    "thread": "a thread cannot be stopped: it is told by ctx.cancelled, and keeps its slot until it returns",
    "process": "its process is killed",
}


_log = logging.getLogger("bloge_worker.runs")


def log_stop(run: Run, reason: str, now: float) -> None:
    """Say why and how a run is stopped."""
    held = run.held
    why = _WHY.get(reason, "the server says so")
    if reason == Reason.LEASE_EXPIRED:
        why %= now - held.sent_at
    elif reason == ATTEMPT_TIMEOUT:
        why %= now - held.received_at
    _logger_of(run).warning("stopping the handler: %s: %s; %s", reason, why, _HOW[run.handler.executor])


def log_end(run: Run, report: Report | None) -> None:
    """Say how a run ended, if it is not by an output.

    A run that was told to stop has had its words already.
    """
    if report is None or run.cancellation.reason is not None or isinstance(report, lease_pb2.CompleteReport):
        return
    log = _logger_of(run)
    if isinstance(report, lease_pb2.ReleaseReport):
        log.info("released: %s", report.reason)
    elif report.HasField("business_error"):
        log.info("business error %s: %s", report.business_error.code, report.business_error.message)
    else:
        _log_failure(log, report, end_of(report))


def _log_failure(log: "logging.LoggerAdapter[logging.Logger]", report: lease_pb2.FailReport, end: End) -> None:
    failure = report.failure
    if end is End.RETRY_LATER:
        log.info("to be tried again later: %s", failure.message)
    elif failure.non_retryable:
        log.warning("failed for good, a dead letter: %s: %s", failure.type, failure.message)
    else:
        trace = f"\n{failure.traceback.rstrip()}" if failure.traceback else ""
        log.warning("failed: %s: %s%s", failure.type, failure.message, trace)


def _logger_of(run: Run) -> "logging.LoggerAdapter[logging.Logger]":
    return item_logger(run.held.message, _log)
