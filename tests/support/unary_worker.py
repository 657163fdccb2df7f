"""A worker on the unary calls alone, one step at a time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.v1 import worker_service_pb2 as pb
from bloge.remote_workers.v1.lease_pb2 import CompleteReport, FailReport, HeartbeatReport, Lease, Verdict
from bloge.remote_workers.v1.work_item_pb2 import BusinessError, Failure
from bloge.remote_workers.v1.worker_service_pb2_grpc import WorkerServiceStub

_WAIT = Duration(seconds=20)


class UnaryWorker:
    """Claims from one topic. Calls block; in a coroutine, make them with `asyncio.to_thread`."""

    def __init__(self, channel: grpc.Channel, namespace: str, worker_topic: str, worker_id: str) -> None:
        self._stub = WorkerServiceStub(channel)
        self._namespace = namespace
        self._topic = worker_topic
        self.worker_id = worker_id

    def claim(self, lease_seconds: int = 30) -> Lease:
        """Wait for an item and claim it."""
        request = pb.ClaimRequest(
            namespace=self._namespace,
            worker_topic=self._topic,
            worker_id=self.worker_id,
            lease_duration=Duration(seconds=lease_seconds),
            wait_timeout=_WAIT,
        )
        (lease,) = self._stub.Claim(request, timeout=30, wait_for_ready=True).leases
        return lease

    def complete(self, lease: Lease, output: Any) -> Verdict:
        """Report an output."""
        report = CompleteReport(lease_token=lease.lease_token, output=json.dumps(output).encode())
        request = pb.CompleteRequest(reports=[report])
        return self._stub.Complete(request, timeout=30, wait_for_ready=True).verdicts[0]

    def fail(self, lease: Lease, error_type: str = "ValueError", **members: Any) -> Verdict:
        """Report a failure."""
        failure = Failure(type=error_type, **members)
        request = pb.FailRequest(reports=[FailReport(lease_token=lease.lease_token, failure=failure)])
        return self._stub.Fail(request, timeout=30).verdicts[0]

    def business_error(self, lease: Lease, code: str, details: Any = None) -> Verdict:
        """Report a business error."""
        error = BusinessError(code=code, details=json.dumps(details).encode())
        request = pb.FailRequest(reports=[FailReport(lease_token=lease.lease_token, business_error=error)])
        return self._stub.Fail(request, timeout=30).verdicts[0]

    def heartbeat(self, lease: Lease) -> Verdict:
        """Extend a lease."""
        request = pb.HeartbeatRequest(reports=[HeartbeatReport(lease_token=lease.lease_token)])
        return self._stub.Heartbeat(request, timeout=30).verdicts[0]


@contextmanager
def unary_worker(address: str, namespace: str, worker_topic: str, worker_id: str = "w-1") -> Iterator[UnaryWorker]:
    """Yield a worker, and close its connection afterwards."""
    with grpc.insecure_channel(address) as channel:
        yield UnaryWorker(channel, namespace, worker_topic, worker_id)
