"""Spans of starts of executions and of the items that they enqueue, where OpenTelemetry is installed and set up."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bloge.remote_workers import tracing
from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.tracing import item_attributes
from bloge.remote_workers.v1 import execution_service_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_COMPONENT = "bloge_orchestrator"


@contextmanager
def start_span(request: execution_service_pb2.StartRequest) -> Iterator[None]:
    """Have the call that starts an execution be a span, below which the execution's own come, whoever owns it."""
    if not tracing.INSTALLED:
        yield
        return
    with tracing.current(tracing.begin(_COMPONENT, f"start {request.graph_name}", "PRODUCER")):
        if (carried := tracing.traced_by()) is not None:
            request.trace_context.CopyFrom(carried)
        yield


class EnqueueSpans:
    """The spans of items on their way to the server; each item carries its own to its worker.

    Args:
        items: What is enqueued; gets its trace contexts here, if the span that is current is recorded.
    """

    def __init__(self, items: Sequence[pb.WorkItemSpec]) -> None:
        self._spans: list[Span] = []
        current = tracing.traced_by()
        if current is None or not tracing.is_traced(current):
            return
        self._spans = [
            tracing.begin(_COMPONENT, f"enqueue {spec.worker_topic}", "PRODUCER", attributes=item_attributes("", spec))
            for spec in items
        ]
        for span, spec in zip(self._spans, items, strict=True):
            spec.trace_context.CopyFrom(tracing.traced_by(span) or current)

    def end(self, refusals: Sequence[RemoteWorkersError | None]) -> None:
        """Note what became of each item."""
        for span, refusal in zip(self._spans, refusals, strict=False):
            if refusal is not None:
                tracing.fail(span, str(refusal))
            span.end()
