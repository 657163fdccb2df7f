"""The fake control plane's `WorkItemService`: what a plain producer needs."""

from collections.abc import Iterator

import grpc

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.status import to_status
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as items
from bloge.remote_workers.v1 import work_item_service_pb2_grpc
from bloge_worker.testing._boundary import refuse, unary
from bloge_worker.testing._checks import MAX_BATCH, Checks
from bloge_worker.testing._record import Record
from bloge_worker.testing._state import State

_USUAL_WAIT, _LONGEST_WAIT = 30.0, 600.0


class FakeWorkItemService(work_item_service_pb2_grpc.WorkItemServiceServicer):
    """What a plain producer needs: enqueue, read, await, cancel.

    Args:
        state: what the services share.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    @unary
    def Enqueue(self, request: items.EnqueueRequest) -> items.EnqueueResponse:
        """Create work items."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        checks.number("items", len(request.items), 1, MAX_BATCH)
        for index, spec in enumerate(request.items):
            checks.spec(f"items[{index}].", spec)
        checks.done()
        with self._state.turn() as now:
            results = [(spec, self._state.table.enqueue(namespace, spec, now)) for spec in request.items]
        return items.EnqueueResponse(results=[_result(spec.item_id, created) for spec, created in results])

    @unary
    def Get(self, request: items.GetRequest) -> items.GetResponse:
        """Read one item."""
        with self._state.turn() as now:
            return items.GetResponse(item=self._find(request.item, now).view())

    @unary
    def AwaitOutcome(self, request: items.AwaitOutcomeRequest) -> items.AwaitOutcomeResponse:
        """Wait for the outcome of one item."""
        checks = Checks()
        wait = _USUAL_WAIT
        if request.HasField("wait_timeout"):
            wait = checks.duration("wait_timeout", request.wait_timeout, _LONGEST_WAIT)
        checks.done()

        def outcome(now: float) -> pb.Outcome | None:
            item = self._find(request.item, now).item
            return item.outcome if item.HasField("outcome") else None

        return items.AwaitOutcomeResponse(outcome=self._state.wait_for(outcome, wait))

    @unary
    def Cancel(self, request: items.CancelRequest) -> items.CancelResponse:
        """Cancel open items."""
        checks = Checks()
        checks.number("items", len(request.items), 1, MAX_BATCH)
        for index, ref in enumerate(request.items):
            checks.ref(f"items[{index}]", ref)
        checks.done()
        with self._state.turn() as now:
            return items.CancelResponse(results=[self._cancel(ref, now) for ref in request.items])

    def WatchOutcomes(
        self,
        request_iterator: Iterator[items.WatchOutcomesRequest],  # noqa: ARG002 - gRPC's signature
        context: grpc.ServicerContext,
    ) -> Iterator[items.WatchOutcomesResponse]:
        """Refuse: that is for orchestrators."""
        message = "the fake control plane has no outboxes; use AwaitOutcome"
        refuse(context, RemoteWorkersError(Reason.NOT_IMPLEMENTED, message))

    def _cancel(self, ref: pb.WorkItemRef, now: float) -> items.CancelResult:
        result = items.CancelResult(item=ref)
        try:
            record = self._find(ref, now)
        except RemoteWorkersError as error:
            result.error.CopyFrom(to_status(error))
            return result
        result.cancelled = self._state.table.cancel(record, now)
        if not result.cancelled:
            result.error.CopyFrom(to_status(_has_outcome(record)))
        return result

    def _find(self, ref: pb.WorkItemRef, now: float) -> Record:
        checks = Checks()
        checks.ref("item", ref)
        checks.done()
        record = self._state.table.find(ref.namespace or "default", ref.worker_topic, ref.item_id, now)
        if record is None:
            raise RemoteWorkersError(
                Reason.NOT_FOUND, f"there is no work item {ref.item_id!r} in topic {ref.worker_topic!r}"
            )
        return record


def _result(item_id: str, created: Reason | bool) -> items.EnqueueResult:  # noqa: FBT001 - what `enqueue` returned
    result = items.EnqueueResult(item_id=item_id, created=created is True)
    if isinstance(created, Reason):
        result.error.CopyFrom(to_status(RemoteWorkersError(created, f"work item {item_id!r}: {created}")))
    return result


def _has_outcome(record: Record) -> RemoteWorkersError:
    status = pb.WorkItemStatus.Name(record.item.status).removeprefix("WORK_ITEM_STATUS_")
    kind = pb.OutcomeKind.Name(record.item.outcome.kind).removeprefix("OUTCOME_KIND_")
    return RemoteWorkersError(
        Reason.WRONG_STATUS,
        f"work item {record.spec.item_id!r} is {status} with outcome {kind}",
        metadata={"status": status, "outcome": kind},
    )
