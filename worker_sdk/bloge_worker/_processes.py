"""Runs handlers in child processes, which can be killed when the lease is lost."""

import atexit
import logging
import multiprocessing
import pickle
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._child import LOG, Duty, Request, child_main, progress_of
from bloge_worker._durations import duration_of
from bloge_worker._runs import Run, RunServices
from bloge_worker.errors import HandlerError
from bloge_worker.handlers import Handler
from bloge_worker.outcomes import Report, report_failure

# A forked child would inherit gRPC's threads in an undefined state.
_context = multiprocessing.get_context("spawn")

_REPORTS: dict[str, type[Any]] = {
    kind.DESCRIPTOR.name: kind for kind in (lease_pb2.CompleteReport, lease_pb2.FailReport, lease_pb2.ReleaseReport)
}


class ChildProcesses:
    """The child processes of one handler. They are started when needed and used again.

    Args:
        handler: the handler that they run.
        services: what every run needs.
    """

    def __init__(self, handler: Handler, services: RunServices) -> None:
        self._handler = handler
        self._services = services
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        # Children ignore SIGTERM, by which multiprocessing would end them at exit.
        atexit.register(self.close)

    def execute(self, run: Run) -> Report | None:
        """Run the handler in a child; return its report, or None if the child was killed because the lease is over."""
        if run.cancellation.reason is not None:
            return None
        run.began_at = self._services.clock()
        with self._services.span(run.held) as span:
            report = self._execute(run)
            span.ended(report)
        return report

    def _execute(self, run: Run) -> Report | None:
        try:
            child = self._take()
        except OSError as error:  # no memory or no descriptors: in a while there may be some, here or elsewhere
            return report_failure(run.held.token, "ProcessNotStarted", f"no process for the handler: {error}")
        run.cancellation.on_cancel(lambda: child.kill_if_running(run))
        try:
            report = child.execute(run, self._services)
        except (EOFError, OSError):
            end = self._discard(child)
            if run.cancellation.reason is not None:
                return None
            return report_failure(run.held.token, "ProcessDied", f"the handler's process ended with {end}")
        with self._lock:
            self._idle.append(child)
        return report

    def close(self) -> None:
        """Kill all children."""
        atexit.unregister(self.close)
        with self._lock:
            children, self._idle = list(self._all), []
        for child in children:
            child.kill()

    def _take(self) -> "_Child":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        child = _Child(self._handler)
        with self._lock:
            self._all.add(child)
        return child

    def _discard(self, child: "_Child") -> str:
        """Make sure that a child is gone before its slot is free, and return how it ended."""
        child.kill()
        with self._lock:
            self._all.discard(child)
        return child.wait_for_end()


class _Child:
    """One child process. One thread at a time talks to it; any may kill it."""

    def __init__(self, handler: Handler) -> None:
        self._connection, theirs = _context.Pipe()
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._process = _context.Process(
            target=child_main,
            args=(theirs, _duty(handler)),
            name=f"bloge-handler {handler.worker_topic}",
            daemon=True,
        )
        self._process.start()
        theirs.close()

    def execute(self, run: Run, services: RunServices) -> Report:
        with self._lock:
            self._run = run
        if run.cancellation.reason is not None:
            # It was cancelled before the child was known to run it.
            self.kill()
        self._connection.send(_request(run, services))
        report = self._await_report(run, services)
        with self._lock:
            self._run = None
        return report

    def kill_if_running(self, run: Run) -> None:
        with self._lock:
            if self._run is run:
                self._process.kill()

    def kill(self) -> None:
        with suppress(ValueError):
            self._process.kill()

    def wait_for_end(self) -> str:
        self._connection.close()
        self._process.join()
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def _await_report(self, run: Run, services: RunServices) -> Report:
        while True:
            kind, data = self._connection.recv()
            if kind == LOG:
                record: logging.LogRecord = pickle.loads(data)  # noqa: S301 - from our own child
                logger = logging.getLogger(record.name)
                if logger.isEnabledFor(record.levelno):
                    logger.handle(record)
            elif kind == progress_of(run.held):
                services.send_progress(run.held, data)
            elif kind in _REPORTS:
                report: Report = _REPORTS[kind].FromString(data)
                return report


def check_importable(handlers: Iterable[Handler]) -> None:
    """Check that children can import the handlers that are theirs.

    Raises:
        HandlerError: a handler is not a function at the top of a module.
    """
    for handler in handlers:
        if handler.executor == "process":
            try:
                pickle.dumps(handler.function)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise HandlerError(
                    f"topic {handler.worker_topic!r}: a handler for processes must be importable by its name: {error}"
                ) from error


def _duty(handler: Handler) -> Duty:
    level = min(logging.getLogger().getEffectiveLevel(), logging.getLogger("bloge_worker.handler").getEffectiveLevel())
    return Duty(handler.function, handler.worker_topic, handler.raw, level)


def _request(run: Run, services: RunServices) -> Request:
    """Describe a run; its remaining time counts from now."""
    lease = lease_pb2.Lease()
    lease.CopyFrom(run.held.message)
    if run.held.run_context is not None:
        lease.spec.trace_context.CopyFrom(run.held.run_context)
    if lease.HasField("time_remaining"):
        lease.time_remaining.CopyFrom(duration_of(max(0.0, run.held.deadline - services.clock())))
    return Request(lease.SerializeToString(), services.max_payload_bytes())
