"""A control plane in memory, for tests of whole workers."""

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any, Literal, Self

import grpc

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2_grpc, worker_service_pb2_grpc
from bloge_worker._payload import decoded_json, envelope
from bloge_worker.testing._lease_table import LeaseTable
from bloge_worker.testing._record import Record
from bloge_worker.testing._session import Timing
from bloge_worker.testing._state import State
from bloge_worker.testing._work_item_service import FakeWorkItemService
from bloge_worker.testing._worker_service import FakeWorkerService

_MOST_CALLS = 200
"""Sessions and waiting calls at once."""
_MESSAGE_BYTES = 4 * 1024 * 1024
_OUTCOME_SECONDS = 30.0


Status = Literal["READY", "CLAIMED", "RETRY_WAIT", "DONE", "DEAD_LETTER", "CANCELLED"]
"""Where a work item stands."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What resumes the node that waits for an item."""

    kind: Literal["COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED"]
    output: Any = None
    """COMPLETED: decoded JSON; bytes if it is not JSON."""
    code: str = ""
    """FAILED by a business error."""
    message: str = ""
    """FAILED."""
    details: Any = None
    """FAILED by a business error: decoded JSON."""
    error_type: str = ""
    """FAILED by a technical failure, for items with `RESUME_WITH_FAILURE`."""


class FakeControlPlane:
    """A control plane in this process: the same protocol over real gRPC, all in memory, gone at the end.

    with FakeControlPlane() as plane:
        worker = make_worker(plane.address)
        async with worker:
            item = plane.enqueue("greetings", {"name": "Ada"}, operator_ref="Greet")
            assert (await plane.outcome(item)).output == {"greeting": "Hello, Ada!"}

    It offers `WorkerService` whole, and of `WorkItemService` what a plain producer needs. It knows work items that run
    nodes, and neither graphs nor pauses nor replays; nothing survives it.

    Args:
        address: where to listen, `host:port` with port 0 for any free one, or `unix:/path`.
        lease_duration: the lease of workers that ask for none, in seconds.
        offer_lease: seconds that an offer waits for its receipt.
        ping_interval: seconds between pings.
        silence_limit: seconds of silence after which a session is over.
        max_payload_bytes: the largest payload and output.
        backlog_limit: the most items of a topic that may wait; 0: any number.
        clock: monotonic seconds; `advance` moves on from it.
        random: gives all jitter.
    """

    def __init__(  # noqa: PLR0913 - settings, each with a default
        self,
        address: str = "127.0.0.1:0",
        *,
        lease_duration: float = 30.0,
        offer_lease: float = 5.0,
        ping_interval: float = 10.0,
        silence_limit: float = 30.0,
        max_payload_bytes: int = 1024 * 1024,
        backlog_limit: int = 0,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        table = LeaseTable(random or Random(), backlog_limit)
        table.reporting.max_payload_bytes = max_payload_bytes
        timing = Timing(lease=lease_duration, offer_lease=offer_lease, ping=ping_interval, silence=silence_limit)
        self._state = State(table, timing, clock)
        self._server = grpc.server(
            ThreadPoolExecutor(_MOST_CALLS, thread_name_prefix="fake-control-plane"),
            options=[
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ],
        )
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(FakeWorkerService(self._state), self._server)
        work_item_service_pb2_grpc.add_WorkItemServiceServicer_to_server(FakeWorkItemService(self._state), self._server)
        port = self._server.add_insecure_port(address)
        self.address = address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"
        """Where workers reach it."""

    def __enter__(self) -> Self:
        """Start to serve."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop: sessions and waiting calls end."""
        self._state.close()
        self._server.stop(grace=0).wait()

    def enqueue(
        self,
        worker_topic: str,
        input: Any = None,  # noqa: A002, ANN401 - the handler's own word; any JSON value
        *,
        operator_ref: str = "",
        item_id: str | None = None,
        namespace: str = "default",
        execution_context: dict[str, Any] | None = None,
        **spec: Any,  # noqa: ANN401 - members of `WorkItemSpec`
    ) -> pb.WorkItemRef:
        """Create a work item as an orchestrator does, and return its name.

        Args:
            worker_topic: its topic.
            input: what the handler gets; JSON-able.
            operator_ref: the business operator.
            item_id: unique in its topic; None: a random one.
            namespace: the worker's.
            execution_context: what the handler's context tells of the execution.
            spec: further members of `WorkItemSpec`, for example `retry_policy`, `priority` or, to enqueue bytes as they
                are, `payload`.

        Raises:
            ValueError: the item is refused: its id is taken, or the topic's backlog is full.
        """
        item = pb.WorkItemSpec(
            **{"payload": envelope(worker_topic, operator_ref, input, execution_context or {}), **spec},
            item_id=item_id or secrets.token_hex(8),
            worker_topic=worker_topic,
            operator_ref=operator_ref,
        )
        with self._state.turn() as now:
            created = self._state.table.enqueue(namespace, item, now)
        if created is not True:
            raise ValueError(f"work item {item.item_id!r} is refused: {created or 'it is there already'}")
        return pb.WorkItemRef(namespace=namespace, worker_topic=worker_topic, item_id=item.item_id)

    def item(self, ref: pb.WorkItemRef) -> pb.WorkItem:
        """Return an item as it stands now, with its attempts, progress and late outputs.

        Raises:
            KeyError: there is none.
        """
        with self._state.turn() as now:
            return self._find(ref, now).view()

    def wait_outcome(self, ref: pb.WorkItemRef, timeout: float = _OUTCOME_SECONDS) -> ItemOutcome:
        """Block until an item has an outcome, and return it. In a coroutine, await `outcome` instead.

        Args:
            ref: the item.
            timeout: seconds to wait.

        Raises:
            KeyError: there is no such item.
            TimeoutError: it has none in time; the error says where the item stands.
        """
        item = self._wait(ref, lambda each: each.HasField("outcome"), "has no outcome", timeout)
        return _outcome(item.outcome)

    async def outcome(self, ref: pb.WorkItemRef, timeout: float = _OUTCOME_SECONDS) -> ItemOutcome:  # noqa: ASYNC109 - told in the error
        """Like `wait_outcome`, without blocking the event loop."""
        return await asyncio.to_thread(self.wait_outcome, ref, timeout)

    def wait_status(self, ref: pb.WorkItemRef, status: Status, timeout: float = _OUTCOME_SECONDS) -> pb.WorkItem:
        """Block until an item has a status, and return it as it stands. In a coroutine, await `reaches` instead.

        Args:
            ref: the item.
            status: for example `DEAD_LETTER`, which has no outcome until somebody decides about it.
            timeout: seconds to wait.

        Raises:
            KeyError: there is no such item.
            TimeoutError: it has not got it in time; the error says where the item stands.
        """
        number = pb.WorkItemStatus.Value(f"WORK_ITEM_STATUS_{status}")
        return self._wait(ref, lambda each: each.status == number, f"is not {status}", timeout)

    async def reaches(self, ref: pb.WorkItemRef, status: Status, timeout: float = _OUTCOME_SECONDS) -> pb.WorkItem:  # noqa: ASYNC109 - told in the error
        """Like `wait_status`, without blocking the event loop."""
        return await asyncio.to_thread(self.wait_status, ref, status, timeout)

    def cancel(self, ref: pb.WorkItemRef) -> bool:
        """Cancel an item, and tell its worker; return False if it has another outcome.

        Raises:
            KeyError: there is no such item.
        """
        with self._state.turn() as now:
            return self._state.table.cancel(self._find(ref, now), now)

    def advance(self, seconds: float) -> None:
        """Move the control plane's clock: leases run out, waits are over, deadlines pass. The worker's stands still."""
        self._state.advance(seconds)

    def disconnect(self) -> None:
        """End every session, as a proxy in between might. Workers connect again and name the leases they hold."""
        with self._state.turn():
            for session in self._state.sessions():
                session.closed = True

    def ask_to_leave(self, worker_id: str) -> None:
        """Ask a worker to drain and end, as an operator may."""
        with self._state.turn():
            for session in self._state.sessions():
                if session.worker_id == worker_id:
                    session.ask_to_leave("the test says so")

    def _wait(
        self, ref: pb.WorkItemRef, condition: Callable[[pb.WorkItem], bool], complaint: str, timeout: float
    ) -> pb.WorkItem:
        def look(now: float) -> pb.WorkItem | None:
            view = self._find(ref, now).view()
            return view if condition(view) else None

        found = self._state.wait_for(look, timeout)
        if found is None:
            status = pb.WorkItemStatus.Name(self.item(ref).status).removeprefix("WORK_ITEM_STATUS_")
            raise TimeoutError(f"{ref.worker_topic}/{ref.item_id} {complaint} within {timeout:g} s; it is {status}")
        return found

    def _find(self, ref: pb.WorkItemRef, now: float) -> Record:
        record = self._state.table.find(ref.namespace or "default", ref.worker_topic, ref.item_id, now)
        if record is None:
            raise KeyError(f"{ref.worker_topic}/{ref.item_id}")
        return record


def _outcome(outcome: pb.Outcome) -> ItemOutcome:
    kind: Any = pb.OutcomeKind.Name(outcome.kind).removeprefix("OUTCOME_KIND_")
    error, failure = outcome.business_error, outcome.failure
    return ItemOutcome(
        kind,
        output=decoded_json(outcome.output),
        code=error.code,
        message=error.message or failure.message,
        details=decoded_json(error.details),
        error_type=failure.type,
    )
