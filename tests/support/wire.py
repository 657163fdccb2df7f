"""The wire as tests speak it: short words for calls, and `Work` sessions with hand-written frames."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.status import from_rpc_error
from bloge.remote_workers.v1 import (
    lease_pb2,
    ops_service_pb2_grpc,
    work_item_pb2,
    work_item_service_pb2_grpc,
    worker_service_pb2_grpc,
)
from bloge.remote_workers.v1 import ops_service_pb2 as ops_calls
from bloge.remote_workers.v1 import work_item_service_pb2 as item_calls
from bloge.remote_workers.v1 import work_stream_pb2 as frames
from bloge.remote_workers.v1 import worker_service_pb2 as worker_calls

PATIENCE = 30.0
"""Seconds after which a call that should have come back did not."""
TOPIC = "topic"

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def seconds(value: float) -> Duration:
    """Return a duration."""
    duration = Duration()
    duration.FromMicroseconds(round(value * 1_000_000))
    return duration


@contextmanager
def refused() -> Iterator[list[RemoteWorkersError]]:
    """Expect a call to be refused; the list holds the refusal afterwards."""
    told: list[RemoteWorkersError] = []
    try:
        yield told
    except grpc.RpcError as error:
        told.append(from_rpc_error(error))
    assert told, "the call was not refused"


class Conversation(Generic[_Request, _Response]):
    """One bidirectional stream, driven by hand.

    Args:
        call: the stub's method.
    """

    def __init__(self, call: Any) -> None:
        self._outgoing: SimpleQueue[_Request | None] = SimpleQueue()
        self.call = call(iter(self._outgoing.get, None), timeout=PATIENCE)

    def send(self, *requests: _Request) -> None:
        """Send frames."""
        for request in requests:
            self._outgoing.put(request)

    def next(self) -> _Response:
        """Return the next frame; fail if the stream ends first."""
        frame: _Response | None = next(self.call, None)
        assert frame is not None, "the stream ended"
        return frame

    def close(self) -> None:
        """Close our side."""
        self._outgoing.put(None)

    def rest(self) -> list[_Response]:
        """Return every frame until the stream ends."""
        return list(self.call)

    def abandon(self) -> None:
        """Break the stream off, as a lost connection does."""
        self.call.cancel()
        self.close()

    def __enter__(self) -> Self:
        """Return the open stream."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Break it off."""
        self.abandon()


class WorkSession(Conversation[frames.WorkRequest, frames.WorkResponse]):
    """A `Work` stream: frames of other kinds than the awaited one are kept for later."""

    def __init__(self, call: Any) -> None:
        super().__init__(call)
        self._kept: list[frames.WorkResponse] = []

    def expect(self, kind: str) -> Any:
        """Return the content of the next frame of a kind."""
        for index, frame in enumerate(self._kept):
            if frame.WhichOneof("frame") == kind:
                return getattr(self._kept.pop(index), kind)
        while (frame := self.next()).WhichOneof("frame") != kind:
            self._kept.append(frame)
        return getattr(frame, kind)

    def hello(self, **hello: Any) -> frames.Welcome:
        """Open the session."""
        self.send(frames.WorkRequest(hello=frames.Hello(**hello)))
        welcome: frames.Welcome = self.expect("welcome")
        return welcome

    def grant(self, items_total: int, bytes_total: int = 0) -> None:
        """Allow offers."""
        self.send(frames.WorkRequest(credits=frames.Credits(items_total=items_total, bytes_total=bytes_total)))

    def receive(self, offer_sequence: int) -> None:
        """Confirm offers."""
        self.send(frames.WorkRequest(receipt=frames.Receipt(offer_sequence=offer_sequence)))

    def report(self, **reports: Any) -> None:
        """Send reports."""
        self.send(frames.WorkRequest(reports=frames.Reports(**reports)))

    def leases(self, count: int) -> list[lease_pb2.Lease]:
        """Return a number of offered leases, confirming each offer."""
        found: list[lease_pb2.Lease] = []
        while len(found) < count:
            offers = self.expect("offers")
            self.receive(offers.offer_sequence)
            found.extend(offers.leases)
        assert len(found) == count
        return found

    def verdicts(self, count: int = 1) -> dict[int, lease_pb2.Verdict]:
        """Return a number of verdicts by report id."""
        found: dict[int, lease_pb2.Verdict] = {}
        while len(found) < count:
            found.update({verdict.report_id: verdict for verdict in self.expect("verdicts").verdicts})
        return found

    def forget(self) -> None:
        """Read what was sent so far, and forget it."""
        self.settle()
        self._kept.clear()

    def settle(self, ping_id: int = 1) -> None:
        """Wait until every frame that was sent before has been read by the server."""
        self.send(frames.WorkRequest(ping=frames.Ping(ping_id=ping_id)))
        while self.expect("ping").answer != ping_id:
            pass


Leases = list[lease_pb2.Lease]
Watch = Conversation[item_calls.WatchOutcomesRequest, item_calls.WatchOutcomesResponse]


class Wire:
    """One channel to a control plane, and a namespace of the test's own.

    Args:
        address: of the server.
        namespace: for everything that is done.
    """

    def __init__(self, address: str, namespace: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.workers = worker_service_pb2_grpc.WorkerServiceStub(self.channel)
        self.items = work_item_service_pb2_grpc.WorkItemServiceStub(self.channel)
        self.ops = ops_service_pb2_grpc.OpsServiceStub(self.channel)
        self.namespace = namespace

    def __enter__(self) -> Self:
        """Return the open channel."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        self.channel.close()

    def ref(self, item_id: str = "a", topic: str = TOPIC) -> work_item_pb2.WorkItemRef:
        """Return the name of an item."""
        return work_item_pb2.WorkItemRef(namespace=self.namespace, worker_topic=topic, item_id=item_id)

    def enqueue(self, *specs: work_item_pb2.WorkItemSpec) -> Sequence[item_calls.EnqueueResult]:
        """Enqueue descriptions."""
        request = item_calls.EnqueueRequest(namespace=self.namespace, items=specs)
        return self.items.Enqueue(request, timeout=PATIENCE).results

    def put(self, *item_ids: str, **spec: Any) -> None:
        """Enqueue new items that differ in their ids only."""
        specs = [work_item_pb2.WorkItemSpec(**{"worker_topic": TOPIC, "item_id": each, **spec}) for each in item_ids]
        for start in range(0, len(specs), 500):
            assert all(result.created for result in self.enqueue(*specs[start : start + 500]))

    def claim(
        self, max_items: int = 1, *, worker: str = "w1", wait: float = 0, **request: Any
    ) -> list[lease_pb2.Lease]:
        """Claim items."""
        return list(self.claim_response(max_items, worker=worker, wait=wait, **request).leases)

    def claim_response(
        self, max_items: int = 1, *, worker: str = "w1", wait: float = 0, **request: Any
    ) -> worker_calls.ClaimResponse:
        """Claim items; return the whole answer."""
        wanted = {"namespace": self.namespace, "worker_topic": TOPIC, "wait_timeout": seconds(wait), **request}
        call = worker_calls.ClaimRequest(worker_id=worker, max_items=max_items, **wanted)
        return self.workers.Claim(call, timeout=PATIENCE)

    def claim_one(self, **request: Any) -> lease_pb2.Lease:
        """Claim exactly one item."""
        (lease,) = self.claim(**request)
        return lease

    def register(self, worker: str, *topics: str, **request: Any) -> worker_calls.RegisterResponse:
        """Announce a worker."""
        call = worker_calls.RegisterRequest(
            namespace=self.namespace, worker_id=worker, worker_topics=topics or (TOPIC,), **request
        )
        return self.workers.Register(call, timeout=PATIENCE)

    def heartbeat(self, lease: lease_pb2.Lease, **report: Any) -> lease_pb2.Verdict:
        """Extend a lease."""
        reports = [lease_pb2.HeartbeatReport(lease_token=lease.lease_token, **report)]
        (verdict,) = self.workers.Heartbeat(worker_calls.HeartbeatRequest(reports=reports), timeout=PATIENCE).verdicts
        return verdict

    def complete(self, *leases: lease_pb2.Lease, output: bytes = b"{}") -> list[lease_pb2.Verdict]:
        """Report an output."""
        reports = [lease_pb2.CompleteReport(lease_token=lease.lease_token, output=output) for lease in leases]
        request = worker_calls.CompleteRequest(reports=reports)
        return list(self.workers.Complete(request, timeout=PATIENCE).verdicts)

    def fail(self, *leases: lease_pb2.Lease, kind: str = "Boom", **failure: Any) -> list[lease_pb2.Verdict]:
        """Report a failure."""
        cause = work_item_pb2.Failure(type=kind, **failure)
        reports = [lease_pb2.FailReport(lease_token=lease.lease_token, failure=cause) for lease in leases]
        return list(self.workers.Fail(worker_calls.FailRequest(reports=reports), timeout=PATIENCE).verdicts)

    def business_error(self, *leases: lease_pb2.Lease, **error: Any) -> list[lease_pb2.Verdict]:
        """Report an error of the business."""
        cause = work_item_pb2.BusinessError(**error)
        reports = [lease_pb2.FailReport(lease_token=lease.lease_token, business_error=cause) for lease in leases]
        return list(self.workers.Fail(worker_calls.FailRequest(reports=reports), timeout=PATIENCE).verdicts)

    def release(self, *leases: lease_pb2.Lease, **report: Any) -> list[lease_pb2.Verdict]:
        """Hand items back."""
        reports = [lease_pb2.ReleaseReport(lease_token=lease.lease_token, **report) for lease in leases]
        return list(self.workers.Release(worker_calls.ReleaseRequest(reports=reports), timeout=PATIENCE).verdicts)

    def get(self, item_id: str = "a", topic: str = TOPIC) -> work_item_pb2.WorkItem:
        """Read an item."""
        request = item_calls.GetRequest(item=self.ref(item_id, topic))
        return self.items.Get(request, timeout=PATIENCE).item

    def status(self, item_id: str = "a") -> str:
        """Return an item's status."""
        return work_item_pb2.WorkItemStatus.Name(self.get(item_id).status).removeprefix("WORK_ITEM_STATUS_")

    def topic(self, name: str = TOPIC) -> ops_calls.Topic:
        """Read a topic."""
        request = ops_calls.GetTopicRequest(namespace=self.namespace, worker_topic=name)
        return self.ops.GetTopic(request, timeout=PATIENCE).topic

    def cancel(self, *item_ids: str) -> Sequence[item_calls.CancelResult]:
        """Cancel items."""
        request = item_calls.CancelRequest(items=[self.ref(each) for each in item_ids], reason="because")
        return self.items.Cancel(request, timeout=PATIENCE).results

    def await_outcome(self, item_id: str = "a", wait: float = 20) -> work_item_pb2.Outcome | None:
        """Wait for an outcome."""
        request = item_calls.AwaitOutcomeRequest(item=self.ref(item_id), wait_timeout=seconds(wait))
        response = self.items.AwaitOutcome(request, timeout=PATIENCE)
        return response.outcome if response.HasField("outcome") else None

    def work(self) -> WorkSession:
        """Open a `Work` stream; the test says hello."""
        return WorkSession(self.workers.Work)

    def session(self, worker: str = "w1", *topics: str, credit: int = 0, **hello: Any) -> WorkSession:
        """Open a session that has said hello."""
        session = self.work()
        session.hello(namespace=self.namespace, worker_id=worker, worker_topics=topics or (TOPIC,), **hello)
        if credit:
            session.grant(credit)
        return session

    def source(self, group: str = "group", topic: str = TOPIC) -> item_calls.OutcomeSource:
        """Return where outcomes come from."""
        return item_calls.OutcomeSource(namespace=self.namespace, worker_topic=topic, reply_group=group)

    def watch(self, *groups: str) -> Watch:
        """Watch outcomes of groups."""
        watch: Watch = Conversation(self.items.WatchOutcomes)
        if groups:
            sources = item_calls.OutcomeSources(sources=[self.source(group) for group in groups])
            watch.send(item_calls.WatchOutcomesRequest(add=sources))
        return watch

    def acknowledgement(self, *item_ids: str) -> item_calls.WatchOutcomesRequest:
        """Return the frame that says that outcomes are recorded."""
        refs = item_calls.OutcomeAcknowledgements(items=[self.ref(each) for each in item_ids])
        return item_calls.WatchOutcomesRequest(acknowledge=refs)
