"""The asynchronous client of the server."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from random import Random
from typing import Self

import grpc
from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.joining import MOST_BYTES, MOST_ITEMS, Joining
from bloge.remote_workers.status import from_rpc_error, from_status
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import ops_service_pb2_grpc, work_item_pb2, work_item_service_pb2_grpc
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge_orchestrator.batches import batches
from bloge_orchestrator.errors import InvalidAddressError
from bloge_orchestrator.execution_client import ExecutionClient
from bloge_orchestrator.operations_client import OperationsClient
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeWatch
from bloge_orchestrator.patience import PASSING, Patience
from bloge_orchestrator.telling import told

DEFAULT_ADDRESS = "127.0.0.1:7070"
"""Where the server is if nothing says otherwise."""

ADDRESS_VARIABLE = "BLOGE_ADDRESS"
"""The environment variable that names the server."""

_ADDRESS = re.compile(r"unix:.+|[^:/\s]+:\d{1,5}|\[[^\]/\s]+\]:\d{1,5}")
_CALL_SECONDS = 15.0
_ACTION_SECONDS = 120.0
"""For calls that act on up to 10,000 items."""

_OPTIONS = (
    ("grpc.max_send_message_length", 4 * 1024 * 1024),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    # A server that is gone without a word is noticed within 20 s; the server allows a ping every 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The pauses between attempts are ours; gRPC's own would add up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_Specs = Sequence[work_item_pb2.WorkItemSpec]


def checked_address(address: str) -> str:
    """Give an address back.

    Raises:
        InvalidAddressError: If it is not one; gRPC would look for some other place, or crash.

    """
    if not _ADDRESS.fullmatch(address):
        raise InvalidAddressError(address)
    return address


class ControlPlane:
    """A connection to the server; use it as an asynchronous context manager, on one event loop.

    Calls raise `RemoteWorkersError` if they are refused, and `ControlPlaneUnreachableError` if nobody answers.

    Args:
        address: `host:port` or `unix:/path`.
        random: spreads the reconnects.

    Raises:
        InvalidAddressError: If the address is not one.

    """

    def __init__(self, address: str = DEFAULT_ADDRESS, *, random: Random | None = None) -> None:
        self.address = checked_address(address)
        self._random = random or Random()
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._items = work_item_service_pb2_grpc.WorkItemServiceStub(self._channel)
        self._ops = ops_service_pb2_grpc.OpsServiceStub(self._channel)
        self._enqueues = Joining(self._try_batch, work_item_pb2.WorkItemSpec.ByteSize)
        self.outcomes = OutcomeWatch(self._items, self._random)
        self.executions = ExecutionClient(self._channel, self.address)
        self.operations = OperationsClient(self._channel, self.address)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Send the acknowledgements that are left, up to 5 s, and close the connection."""
        await self.outcomes.close()
        await self._channel.close()

    async def check(self) -> None:
        """Find out whether a server answers.

        Raises:
            ControlPlaneUnreachableError: If none does.

        """
        # An empty message is a valid HealthCheckRequest: it asks for the server as a whole.
        call = self._channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
        with self._told():
            await call(b"", timeout=_CALL_SECONDS)

    # ---- work items ----

    async def enqueue(self, namespace: str, items: _Specs) -> list[RemoteWorkersError | None]:
        """Enqueue work items; waits, for ever if need be, for a server that is away and for room in a full backlog.

        Args:
            namespace: Their namespace.
            items: Any number.

        Returns:
            For each item, in order, why it was refused for good; None if it is there, new or from before.

        """
        patience = Patience("work items cannot be enqueued", self._random)
        refusals = await self.try_enqueue(namespace, items)
        while waiting := {index: error for index, error in enumerate(refusals) if error and error.reason in PASSING}:
            await patience.wait(next(iter(waiting.values())))
            again = await self.try_enqueue(namespace, [items[index] for index in waiting])
            for index, refusal in zip(waiting, again, strict=True):
                refusals[index] = refusal
        return refusals

    async def try_enqueue(self, namespace: str, items: _Specs) -> list[RemoteWorkersError | None]:
        """Enqueue work items, trying once.

        Args:
            namespace: Their namespace.
            items: Any number.

        Returns:
            For each item, in order, why it was refused; None if it is there, new or from before. A server that does not
            answer is STORE_UNAVAILABLE.

        """
        return [
            refusal
            for batch in batches(items, MOST_ITEMS, MOST_BYTES)
            for refusal in await self._enqueues(namespace, batch)
        ]

    async def _try_batch(self, namespace: str, batch: _Specs) -> list[RemoteWorkersError | None]:
        request = pb.EnqueueRequest(namespace=namespace, items=batch)
        try:
            response = await self._items.Enqueue(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            refusal = from_rpc_error(error)
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                refusal = RemoteWorkersError(Reason.STORE_UNAVAILABLE, f"no answer within {_CALL_SECONDS:g} s")
            if len(batch) == 1 or refusal.reason in PASSING:
                return [refusal for _ in batch]
            # One bad item refuses a whole request: find it, and spare the others.
            return [found for item in batch for found in await self._try_batch(namespace, [item])]
        return [from_status(each.error) if each.HasField("error") else None for each in response.results]

    async def get(self, item: ItemRef) -> work_item_pb2.WorkItem:
        """Read one item with its history.

        Raises:
            RemoteWorkersError: NOT_FOUND, or another refusal.
            ControlPlaneUnreachableError: If nobody answers.

        """
        with self._told():
            response = await self._items.Get(pb.GetRequest(item=item.to_proto()), timeout=_CALL_SECONDS)
        return response.item

    async def await_outcome(self, item: ItemRef, timeout: timedelta) -> work_item_pb2.Outcome | None:  # noqa: ASYNC109 - the server waits
        """Wait until one item has an outcome, up to 10 minutes; None if it has none by then.

        Raises:
            RemoteWorkersError: NOT_FOUND, or another refusal.
            ControlPlaneUnreachableError: If nobody answers.

        """
        wait_timeout = Duration()
        wait_timeout.FromTimedelta(timeout)
        request = pb.AwaitOutcomeRequest(item=item.to_proto(), wait_timeout=wait_timeout)
        with self._told():
            response = await self._items.AwaitOutcome(request, timeout=timeout.total_seconds() + _CALL_SECONDS)
        return response.outcome if response.HasField("outcome") else None

    async def cancel(self, items: Sequence[ItemRef], reason: str) -> list[RemoteWorkersError | None]:
        """Cancel items.

        Returns:
            For each item, in order, why it is not cancelled; None if it is.

        Raises:
            RemoteWorkersError: If the call is refused.
            ControlPlaneUnreachableError: If nobody answers.

        """
        refusals: list[RemoteWorkersError | None] = []
        for start in range(0, len(items), MOST_ITEMS):
            batch = [item.to_proto() for item in items[start : start + MOST_ITEMS]]
            with self._told():
                response = await self._items.Cancel(
                    pb.CancelRequest(items=batch, reason=reason[:256]), timeout=_CALL_SECONDS
                )
            refusals += [from_status(each.error) if each.HasField("error") else None for each in response.results]
        return refusals

    # ---- dead letters ----

    async def list_dead_letters(self, request: ops.ListDeadLettersRequest) -> ops.ListDeadLettersResponse:
        """Give one page of dead letters, oldest first.

        Raises:
            RemoteWorkersError: If the call is refused.
            ControlPlaneUnreachableError: If nobody answers.

        """
        with self._told():
            return await self._ops.ListDeadLetters(request, timeout=_CALL_SECONDS)

    async def replay_dead_letters(self, request: ops.ReplayDeadLettersRequest) -> ops.ReplayDeadLettersResponse:
        """Put dead letters of one topic back; raises what `list_dead_letters` raises."""
        with self._told():
            return await self._ops.ReplayDeadLetters(request, timeout=_ACTION_SECONDS)

    async def discard_dead_letters(self, request: ops.DiscardDeadLettersRequest) -> ops.DiscardDeadLettersResponse:
        """Drop dead letters of one topic; raises what `list_dead_letters` raises."""
        with self._told():
            return await self._ops.DiscardDeadLetters(request, timeout=_ACTION_SECONDS)

    async def adopt_late_output(self, request: ops.AdoptLateOutputRequest) -> ops.AdoptLateOutputResponse:
        """Take a late output as the outcome of its item; raises what `list_dead_letters` raises."""
        with self._told():
            return await self._ops.AdoptLateOutput(request, timeout=_CALL_SECONDS)

    def _told(self) -> AbstractContextManager[None]:
        return told(self.address)
