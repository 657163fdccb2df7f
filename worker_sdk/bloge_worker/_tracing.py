"""Spans of runs and of the reports on them, where OpenTelemetry is installed and the item's trace is recorded."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from bloge.remote_workers import tracing
from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge_worker._leases import HeldLease
from bloge_worker.outcomes import Report

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_COMPONENT = "bloge_worker"


class RunSpan:
    """What a run tells its span."""

    __slots__ = ("_span",)

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def ended(self, report: Report | None) -> None:
        """Note how the run ended; no report: it was stopped."""
        if self._span is None:
            return
        kind, error = _told(report)
        self._span.set_attribute("bloge.end", kind)
        if error:
            tracing.fail(self._span, error)


_UNTRACED = nullcontext(RunSpan())


def run_span(held: HeldLease) -> AbstractContextManager[RunSpan]:
    """Return a context in which a handler runs: its span is current there, and the report's span comes below it."""
    spec = held.spec
    if not tracing.INSTALLED or not spec.HasField("trace_context") or not tracing.is_traced(spec.trace_context):
        return _UNTRACED
    return _traced(held)


def within_run(held: HeldLease) -> AbstractContextManager[RunSpan]:
    """Return a context for a child process: the span of the run, which the worker's process has, is current there."""
    spec = held.spec
    if not tracing.INSTALLED or not spec.HasField("trace_context"):
        return _UNTRACED
    return _attached(spec.trace_context)


@contextmanager
def _traced(held: HeldLease) -> Iterator[RunSpan]:
    lease = held.message
    facts = tracing.item_attributes(lease.namespace, lease.spec)
    facts |= {"bloge.attempt": lease.attempt, "bloge.fence": lease.fence}
    name = f"run {lease.spec.operator_ref or lease.spec.worker_topic}"
    span = tracing.begin(_COMPONENT, name, "CONSUMER", parent=lease.spec.trace_context, attributes=facts)
    held.run_context = tracing.traced_by(span)
    with tracing.current(span):
        yield RunSpan(span)


@contextmanager
def _attached(carried: work_item_pb2.TraceContext) -> Iterator[RunSpan]:
    with tracing.attached(carried):
        yield RunSpan()


class ReportSpans:
    """The spans of reports that have no verdict yet. Lives on the lease keeper's thread."""

    def __init__(self) -> None:
        self._spans: dict[int, Span] = {}

    def begin(self, report: Report, parent: work_item_pb2.TraceContext | None) -> None:
        """Note that a report of a traced run is on its way; None: the run is not traced."""
        if parent is not None and tracing.is_traced(parent):
            kind, _ = _told(report)
            self._spans[report.report_id] = tracing.begin(_COMPONENT, kind, "CLIENT", parent=parent)

    def end(self, report: Report, refusal: Reason | None = None) -> None:
        """Note the verdict on a report."""
        span = self._spans.pop(report.report_id, None) if self._spans else None
        if span is not None:
            if refusal is not None:
                tracing.fail(span, str(refusal))
            span.end()


def _told(report: Report | None) -> tuple[str, str]:
    """Return what a report is, and the error that it tells."""
    if report is None:
        return "stopped", "the lease is over"
    if isinstance(report, lease_pb2.CompleteReport):
        return "complete", ""
    if isinstance(report, lease_pb2.ReleaseReport):
        return "release", ""
    if report.HasField("business_error"):
        return "fail", report.business_error.code
    return "fail", f"{report.failure.type}: {report.failure.message}"
