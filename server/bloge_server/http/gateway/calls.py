"""What the gateway asks of the server: the calls of the gRPC services, in this process."""

from collections.abc import Sequence
from typing import Protocol

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as items
from bloge.remote_workers.v1 import worker_service_pb2 as workers


class Calls(Protocol):
    """Each takes a request, checks it as gRPC's does, and raises what gRPC would tell."""

    async def Register(self, request: workers.RegisterRequest) -> workers.RegisterResponse:
        """Note a worker."""

    async def Claim(self, request: workers.ClaimRequest) -> workers.ClaimResponse:
        """Claim items."""

    async def Heartbeat(self, request: workers.HeartbeatRequest) -> workers.HeartbeatResponse:
        """Extend leases."""

    async def Complete(self, request: workers.CompleteRequest) -> workers.CompleteResponse:
        """Take outputs."""

    async def Fail(self, request: workers.FailRequest) -> workers.FailResponse:
        """Take failures."""

    async def Release(self, request: workers.ReleaseRequest) -> workers.ReleaseResponse:
        """Take items back."""

    async def Enqueue(self, request: items.EnqueueRequest) -> items.EnqueueResponse:
        """Create items."""

    async def read_items(
        self, namespace: str, worker_topic: str, item_ids: Sequence[str]
    ) -> Sequence[work_item_pb2.WorkItem | None]:
        """Read several items of a topic at once, None where there is none. Only in this process."""

    async def AwaitOutcome(self, request: items.AwaitOutcomeRequest) -> items.AwaitOutcomeResponse:
        """Wait for an outcome."""

    async def ListDeadLetters(self, request: ops.ListDeadLettersRequest) -> ops.ListDeadLettersResponse:
        """List dead letters."""

    async def ReplayDeadLetters(self, request: ops.ReplayDeadLettersRequest) -> ops.ReplayDeadLettersResponse:
        """Put dead letters back."""
