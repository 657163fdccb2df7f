"""Spans as tests see them: kept in memory, for the whole process."""

from functools import cache

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@cache
def exporter() -> InMemorySpanExporter:
    """Return where every span of the process goes; there is one provider a process."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


def finished(trace_id: int) -> list[ReadableSpan]:
    """Return the ended spans of a trace, in the order of their beginnings."""
    spans = [span for span in exporter().get_finished_spans() if span.context and span.context.trace_id == trace_id]
    return sorted(spans, key=lambda span: span.start_time or 0)
