"""The calls of `ExecutionService`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import grpc

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import execution_service_pb2_grpc
from bloge_orchestrator.telling import told

if TYPE_CHECKING:  # the asynchronous stubs are a fiction of their type declarations
    from bloge.remote_workers.v1.execution_service_pb2_grpc import ExecutionServiceAsyncStub

_CALL_SECONDS = 15.0
_PAGE = 1000
_NO_WAIT = timedelta(0)


class ExecutionClient:
    """Starts, reads and journals executions.

    Calls raise `RemoteWorkersError` if they are refused, and `ControlPlaneUnreachableError` if nobody answers.

    Args:
        channel: The connection.
        address: Where it goes, for messages.
    """

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub: ExecutionServiceAsyncStub = execution_service_pb2_grpc.ExecutionServiceStub(channel)
        self._address = address

    async def start(self, request: pb.StartRequest) -> pb.StartResponse:
        """Start an execution, or find the one that was started before."""
        with told(self._address):
            return await self._stub.Start(request, timeout=_CALL_SECONDS)

    async def get(self, namespace: str, execution_id: str) -> pb.Execution:
        """Read an execution."""
        request = pb.ExecutionServiceGetRequest(namespace=namespace, execution_id=execution_id)
        with told(self._address):
            return (await self._stub.Get(request, timeout=_CALL_SECONDS)).execution

    async def list(self, request: pb.ListRequest) -> pb.ListResponse:
        """Give one page of executions, latest first."""
        with told(self._address):
            return await self._stub.List(request, timeout=_CALL_SECONDS)

    async def cancel(self, namespace: str, execution_id: str, reason: str) -> None:
        """Ask for the cancellation of an execution."""
        request = pb.ExecutionServiceCancelRequest(namespace=namespace, execution_id=execution_id, reason=reason[:256])
        with told(self._address):
            await self._stub.Cancel(request, timeout=_CALL_SECONDS)

    async def open_journal(self, lease_token: str) -> pb.OpenJournalResponse:
        """Open the journal of the execution that a lease is for."""
        with told(self._address):
            return await self._stub.OpenJournal(pb.OpenJournalRequest(lease_token=lease_token), timeout=_CALL_SECONDS)

    async def append(self, lease_token: str, first_sequence: int, events: Sequence[pb.JournalEvent]) -> None:
        """Append events."""
        request = pb.AppendEventsRequest(lease_token=lease_token, first_sequence=first_sequence, events=events)
        with told(self._address):
            await self._stub.AppendEvents(request, timeout=_CALL_SECONDS)

    async def read(
        self, namespace: str, execution_id: str, first_sequence: int, wait: timedelta = _NO_WAIT
    ) -> pb.ReadEventsResponse:
        """Read events, waiting for the first up to a minute."""
        request = pb.ReadEventsRequest(
            namespace=namespace, execution_id=execution_id, first_sequence=first_sequence, max_events=_PAGE
        )
        request.wait_timeout.FromTimedelta(wait)
        with told(self._address):
            return await self._stub.ReadEvents(request, timeout=wait.total_seconds() + _CALL_SECONDS)
