"""Spans across processes, by OpenTelemetry; where it is not installed, nothing happens and nothing is paid.

A work item carries the W3C trace context of whoever enqueued it. Each step of its way (enqueue, claim, run, complete)
is a span below the one before it, whatever process it happens in. Items whose trace is not sampled have none.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from bloge.remote_workers.v1 import work_item_pb2 as pb

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

try:
    from opentelemetry import context, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:
    INSTALLED = False
else:
    INSTALLED = True

Kind = Literal["PRODUCER", "CONSUMER", "INTERNAL", "CLIENT"]

_SAMPLED = 1
_FLAGS_AT = 53
"""Where the flags stand in a `traceparent`: after version, trace id and span id, parted by dashes."""


def trace_id_of(carried: pb.TraceContext) -> str:
    """Return the trace id of a W3C trace context, for logs; empty if there is none."""
    parts = carried.traceparent.split("-")
    return parts[1] if len(parts) > 1 else ""


def is_traced(carried: pb.TraceContext) -> bool:
    """Return whether spans of an item would be kept: OpenTelemetry is installed, and whoever enqueued it records."""
    flags = carried.traceparent[_FLAGS_AT : _FLAGS_AT + 2]
    try:
        return INSTALLED and bool(int(flags or "0", 16) & _SAMPLED)
    except ValueError:
        return False


def begin(
    component: str,
    name: str,
    kind: Kind,
    *,
    parent: pb.TraceContext | None = None,
    attributes: Mapping[str, str | int] | None = None,
) -> "Span":
    """Begin a span; end it with its `end`. Only to be called where OpenTelemetry is installed.

    Args:
        component: whose span it is: the name of an import package.
        name: what happens, for example `claim gpu-inference`.
        kind: as OpenTelemetry says.
        parent: what it happens below; None: whatever span is current here.
        attributes: facts; empty texts are left out.
    """
    told = {key: value for key, value in (attributes or {}).items() if value != ""}
    above = None if parent is None else context_of(parent)
    return trace.get_tracer(component).start_span(name, above, trace.SpanKind[kind], told)


def context_of(carried: pb.TraceContext) -> "Context":
    """Return the context that a trace context stands for. Only to be called where OpenTelemetry is installed."""
    headers = {"traceparent": carried.traceparent, "tracestate": carried.tracestate}
    return TraceContextTextMapPropagator().extract(headers)


def traced_by(span: "Span | None" = None) -> pb.TraceContext | None:
    """Return the trace context below a span, or below whatever span is current; None if there is nothing to carry."""
    if not INSTALLED:
        return None
    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers, None if span is None else trace.set_span_in_context(span))
    if not headers:
        return None
    return pb.TraceContext(traceparent=headers["traceparent"], tracestate=headers.get("tracestate", ""))


@contextmanager
def current(span: "Span") -> Iterator[None]:
    """Make a span the current one, and end it afterwards. Only to be called where OpenTelemetry is installed."""
    with trace.use_span(span, end_on_exit=True):
        yield


@contextmanager
def attached(carried: pb.TraceContext) -> Iterator[None]:
    """Have spans come below one of another process. Only to be called where OpenTelemetry is installed."""
    token = context.attach(context_of(carried))
    try:
        yield
    finally:
        context.detach(token)


def fail(span: "Span", description: str) -> None:
    """Note that what a span is about went wrong. Only to be called where OpenTelemetry is installed."""
    span.set_status(trace.Status(trace.StatusCode.ERROR, description))


def item_attributes(namespace: str, spec: pb.WorkItemSpec) -> dict[str, str | int]:
    """Return what tells which item a span is about, in OpenTelemetry's words for messages and in ours."""
    return {
        "messaging.system": "bloge",
        "messaging.destination.name": spec.worker_topic,
        "messaging.message.id": spec.item_id,
        "bloge.namespace": namespace,
        "bloge.execution_id": spec.execution_id,
        "bloge.node_id": spec.node_id,
        "bloge.operator_ref": spec.operator_ref,
    }
