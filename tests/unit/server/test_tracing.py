"""Spans of claims, and what trace contexts are made of."""

import pytest
from opentelemetry import trace

from bloge.remote_workers import tracing
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.work_item import Lease
from bloge_server.rpc.reports import fill_lease
from support import spans

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"


def claimed(traceparent: str) -> lease_pb2.Lease:
    """Return the lease of an item that carries a trace context."""
    carried = pb.TraceContext(traceparent=traceparent, tracestate="vendor=1")
    spec = pb.WorkItemSpec(worker_topic="gpu", item_id="a", node_id="infer", trace_context=carried)
    lease = Lease(LeaseToken("ns", "gpu", "a/7/n"), spec.SerializeToString(), b"", 1, 1, 7, 1000, -1, -1, b"", "a")
    message = lease_pb2.Lease()
    fill_lease(message, "ns", lease, 1000)
    return message


def test_a_claim_is_a_span_below_the_enqueue_and_above_the_run() -> None:
    """The worker gets the claim's context, and what vendors add travels along."""
    spans.exporter().clear()
    message = claimed(SAMPLED)
    (span,) = spans.finished(int(TRACE, 16))
    assert span.name == "claim gpu"
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.attributes is not None
    assert (span.attributes["messaging.message.id"], span.attributes["bloge.fence"]) == ("a", 7)
    assert "bloge.execution_id" not in span.attributes
    assert span.context is not None
    assert message.spec.trace_context.traceparent == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert message.spec.trace_context.tracestate == "vendor=1"


@pytest.mark.parametrize("traceparent", [SAMPLED[:-1] + "0", "", "nonsense", SAMPLED[:-2] + "zz", SAMPLED[:20]])
def test_what_nobody_records_costs_no_span(traceparent: str) -> None:
    """An item that is not sampled, or whose context is none, travels as it is."""
    spans.exporter().clear()
    assert claimed(traceparent).spec.trace_context.traceparent == traceparent
    assert spans.exporter().get_finished_spans() == ()


def test_without_opentelemetry_nothing_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context is carried all the same."""
    monkeypatch.setattr(tracing, "INSTALLED", False)
    spans.exporter().clear()
    assert claimed(SAMPLED).spec.trace_context.traceparent == SAMPLED
    assert tracing.traced_by() is None
    assert spans.exporter().get_finished_spans() == ()


def test_what_is_current_is_carried() -> None:
    """Whoever enqueues inside a span hands that span on; outside of any there is nothing to hand on."""
    spans.exporter()
    assert tracing.traced_by() is None
    with trace.get_tracer("test").start_as_current_span("outer") as span:
        carried = tracing.traced_by()
    assert carried is not None
    assert carried.traceparent.split("-")[1] == f"{span.get_span_context().trace_id:032x}"
