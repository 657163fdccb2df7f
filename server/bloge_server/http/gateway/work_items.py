"""`/work-items`: for programs that want work done and have no graph."""

from datetime import timedelta
from uuid import uuid4

from pydantic import ConfigDict

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as calls_pb
from bloge_server.http.gateway import views
from bloge_server.http.gateway.bodies import Body, EnqueueBody, RetryPolicyBody
from bloge_server.http.gateway.calls import Calls
from bloge_server.http.gateway.endpoints import Answer, Call, Endpoint
from bloge_server.http.gateway.replies import Enqueued, WorkItem
from bloge_server.http.gateway.values import Duration, ItemId, to_json, to_wire

_TAG = "work items"


class WaitQuery(Body):
    """How long to wait."""

    model_config = ConfigDict(strict=False)

    wait: Duration = timedelta(0)
    """Wait so long for the outcome, up to PT10M, for example PT30S."""


class WorkItemEndpoints:
    """Enqueue and read.

    Args:
        calls: what carries them out.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        trace = {
            "traceparent": "W3C trace context; carried to the worker.",
            "tracestate": "W3C trace context; carried to the worker.",
        }
        return [
            Endpoint("POST", "/work-items", _TAG, self.enqueue, {201: Enqueued, 200: Enqueued}, (409, 413, 429),
                     EnqueueBody, headers=trace),
            Endpoint("GET", "/work-items/{itemId}", _TAG, self.show, {200: WorkItem}, query=WaitQuery),
        ]  # fmt: skip

    async def enqueue(self, call: Call) -> Answer:
        """Create a work item: 201 if it is new, 200 if it was there with the same content, 409 with another one."""
        body: EnqueueBody = call.body
        spec = _spec(body)
        if traceparent := call.headers.get("traceparent"):
            spec.trace_context.traceparent = traceparent
            spec.trace_context.tracestate = call.headers.get("tracestate", "")
        request = calls_pb.EnqueueRequest(namespace=call.namespace, items=[spec])
        (result,) = (await self._calls.Enqueue(request)).results
        if result.HasField("error"):
            raise from_status(result.error)
        item_id = str(ItemId(body.worker_topic, spec.item_id))
        return Answer(201 if result.created else 200, Enqueued(item_id=item_id, created=result.created))

    async def show(self, call: Call) -> Answer:
        """Read a work item, waiting for its outcome if asked to: without one by then, `outcome` is null."""
        item_id, query = ItemId.parse(call.path["itemId"]), call.query
        assert isinstance(query, WaitQuery)
        if query.wait:
            request = calls_pb.AwaitOutcomeRequest(item=item_id.ref(call.namespace), wait_timeout=to_wire(query.wait))
            await self._calls.AwaitOutcome(request)
        (item,) = await self._calls.read_items(call.namespace, item_id.worker_topic, [item_id.item_id])
        if item is None:
            raise RemoteWorkersError(Reason.NOT_FOUND, f"there is no work item {item_id}")
        return Answer(200, views.work_item(item))


def _spec(body: EnqueueBody) -> pb.WorkItemSpec:
    """Return a description as the wire has it."""
    spec = pb.WorkItemSpec(
        item_id=body.item_id or str(uuid4()),
        worker_topic=body.worker_topic,
        payload=to_json(body.payload),
        priority=body.priority,
        retry_policy=_retry_policy(body.retry_policy),
        max_lease_losses=body.max_lease_losses,
        on_dead_letter=pb.OnDeadLetter.Value(f"ON_DEAD_LETTER_{body.on_dead_letter}"),
        execution_id=body.execution_id or "",
        node_id=body.node_id,
        operator_ref=body.operator_ref,
    )
    if body.start_delay:
        spec.start_delay.CopyFrom(to_wire(body.start_delay))
    if body.suspend_timeout is not None:
        spec.suspend_timeout.CopyFrom(to_wire(body.suspend_timeout))
    if body.attempt_timeout is not None:
        spec.attempt_timeout.CopyFrom(to_wire(body.attempt_timeout))
    return spec


def _retry_policy(body: RetryPolicyBody) -> pb.RetryPolicy:
    policy = pb.RetryPolicy(
        attempts=body.retry_attempts,
        backoff=to_wire(body.backoff),
        strategy=pb.BackoffStrategy.Value(f"BACKOFF_STRATEGY_{body.strategy}"),
        non_retryable_error_types=body.non_retryable_error_types,
    )
    if body.max_backoff is not None:
        policy.max_backoff.CopyFrom(to_wire(body.max_backoff))
    return policy
