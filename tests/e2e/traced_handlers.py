"""A handler for the tests of tracing that runs in a process of its own."""

from bloge_worker import WorkContext


def tell_trace(ctx: WorkContext) -> object:
    """Return the trace context that the handler would pass on."""
    return ctx.trace_context


def tell_current(_value: object) -> object:
    """Return the trace context of the span that is current."""
    from opentelemetry import trace  # noqa: PLC0415 - only where it is installed

    context = trace.get_current_span().get_span_context()
    return {"trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}"}
