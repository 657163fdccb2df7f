"""`ExecutionService` as tests speak it: short words for its calls, on a wire."""

import json
from collections.abc import Sequence
from typing import Any

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import execution_service_pb2_grpc, lease_pb2
from bloge.remote_workers.v1 import worker_service_pb2 as worker_calls
from support.wire import PATIENCE, TOPIC, Wire, seconds

AT_MS = 1_800_000_000_000


def event(kind: str = "NODE_STARTED", node_id: str = "n", **members: Any) -> pb.JournalEvent:
    """Return an event that is to be appended."""
    message = pb.JournalEvent(type=kind, node_id=node_id, **members)
    message.event_time.FromMilliseconds(AT_MS)
    return message


def ending(status: str = "COMPLETED") -> pb.JournalEvent:
    """Return the event that ends an execution."""
    return event("GRAPH_COMPLETED", "", data=json.dumps({"status": status}).encode())


class Graphs:
    """The executions of a wire's namespace."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.stub = execution_service_pb2_grpc.ExecutionServiceStub(wire.channel)

    def start(self, graph_name: str = "g", **request: Any) -> pb.StartResponse:
        """Start an execution."""
        wanted = {"namespace": self.wire.namespace, "worker_topic": TOPIC, "graph": b'{"nodes":[]}', **request}
        return self.stub.Start(pb.StartRequest(graph_name=graph_name, **wanted), timeout=PATIENCE)

    def get(self, execution_id: str, wait: float = 0) -> pb.Execution:
        """Read an execution."""
        request = pb.ExecutionServiceGetRequest(
            namespace=self.wire.namespace, execution_id=execution_id, wait_timeout=seconds(wait)
        )
        return self.stub.Get(request, timeout=PATIENCE).execution

    def status(self, execution_id: str) -> str:
        """Return where an execution stands."""
        return pb.ExecutionStatus.Name(self.get(execution_id).status).removeprefix("EXECUTION_STATUS_")

    def list(self, **request: Any) -> pb.ListResponse:
        """Read a page of the list."""
        return self.stub.List(pb.ListRequest(namespace=self.wire.namespace, **request), timeout=PATIENCE)

    def listed(self, **request: Any) -> Sequence[str]:
        """Return the ids of a page."""
        return [each.execution_id for each in self.list(**request).executions]

    def cancel(self, execution_id: str, reason: str = "") -> None:
        """Ask for cancellation."""
        request = pb.ExecutionServiceCancelRequest(
            namespace=self.wire.namespace, execution_id=execution_id, reason=reason
        )
        self.stub.Cancel(request, timeout=PATIENCE)

    def open(self, lease: lease_pb2.Lease) -> pb.OpenJournalResponse:
        """Open the journal."""
        return self.stub.OpenJournal(pb.OpenJournalRequest(lease_token=lease.lease_token), timeout=PATIENCE)

    def append(self, lease: lease_pb2.Lease, first: int, *events: pb.JournalEvent) -> int:
        """Append events; return the next sequence number."""
        request = pb.AppendEventsRequest(lease_token=lease.lease_token, first_sequence=first, events=events)
        return self.stub.AppendEvents(request, timeout=PATIENCE).next_sequence

    def read(self, execution_id: str, first: int = 1, wait: float = 0, **request: Any) -> pb.ReadEventsResponse:
        """Read events."""
        call = pb.ReadEventsRequest(
            namespace=self.wire.namespace,
            execution_id=execution_id,
            first_sequence=first,
            wait_timeout=seconds(wait),
            **request,
        )
        return self.stub.ReadEvents(call, timeout=PATIENCE)

    def own(self, owner: str = "o-1", **request: Any) -> tuple[str, lease_pb2.Lease]:
        """Start an execution, own it and open its journal; return its id and the lease."""
        started = self.start(owner_id=owner, **request)
        assert started.HasField("lease")
        self.open(started.lease)
        return started.execution_id, started.lease

    def finish(self, lease: lease_pb2.Lease, *, output: bytes = b"{}", cancelled: bool = False) -> None:
        """Report the end of an execution."""
        report = lease_pb2.CompleteReport(lease_token=lease.lease_token, output=output, cancelled=cancelled)
        (verdict,) = self.wire.workers.Complete(
            worker_calls.CompleteRequest(reports=[report]), timeout=PATIENCE
        ).verdicts
        assert not verdict.reason, verdict
