"""An execution as those see it who started it, or look on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random

from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_orchestrator.compiled import CompiledGraph, link
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.errors import ExecutionLostError
from bloge_orchestrator.execution.events import Event, ExecutionStatus
from bloge_orchestrator.execution.journal import from_message
from bloge_orchestrator.execution.payload import ExecutionPayload, recorded_graph
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.result import ExecutionResult, result_of
from bloge_orchestrator.execution.runner import OnEvent
from bloge_orchestrator.execution.state import ExecutionState, apply
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.outcome_watch import ItemRef
from bloge_orchestrator.patience import Patience

_STATUS_PREFIX = "EXECUTION_STATUS_"
_REASON_PREFIX = "DEAD_LETTER_REASON_"
_WAIT = timedelta(seconds=20)
_NO_WAIT = timedelta(0)


@dataclass(frozen=True, slots=True)
class ExecutionInfo:
    """Where an execution stands, and what it is."""

    execution_id: str
    graph_name: str
    graph_hash: str
    business_key: str
    worker_topic: str
    status: ExecutionStatus
    owner: str
    """The worker id of the process that owns it; empty if none does."""
    started_at: datetime
    ended_at: datetime | None
    next_sequence: int
    """Of its journal: how many events it has, plus one."""
    cancel_requested: bool
    failure_message: str
    """FAILED: which nodes failed, and why."""
    dead_letter_reason: str
    """Set while nobody runs it because its owners failed or died too often: replay it, or cancel it."""

    @classmethod
    def of(cls, message: pb.Execution) -> "ExecutionInfo":
        """Read one off the wire."""
        reason = message.dead_letter_reason
        return cls(
            execution_id=message.execution_id,
            graph_name=message.graph_name,
            graph_hash=message.graph_hash,
            business_key=message.business_key,
            worker_topic=message.worker_topic,
            status=ExecutionStatus(pb.ExecutionStatus.Name(message.status).removeprefix(_STATUS_PREFIX)),
            owner=message.owner,
            started_at=_instant(message.start_time),
            ended_at=_instant(message.end_time) if message.HasField("end_time") else None,
            next_sequence=message.next_sequence,
            cancel_requested=message.cancel_requested,
            failure_message=message.failure_message,
            dead_letter_reason=(
                work_item_pb2.DeadLetterReason.Name(reason).removeprefix(_REASON_PREFIX) if reason else ""
            ),
        )

    def to_json(self) -> dict[str, object]:
        """Give it as a JSON object with camel-case keys."""
        return {
            "executionId": self.execution_id,
            "graphName": self.graph_name,
            "graphHash": self.graph_hash,
            "businessKey": self.business_key,
            "workerTopic": self.worker_topic,
            "status": self.status.value,
            "owner": self.owner,
            "startedAt": self.started_at.isoformat(),
            "endedAt": self.ended_at.isoformat() if self.ended_at else None,
            "nextSequence": self.next_sequence,
            "cancelRequested": self.cancel_requested,
            "failureMessage": self.failure_message,
            "deadLetterReason": self.dead_letter_reason,
        }


def _instant(at: Timestamp) -> datetime:
    return at.ToDatetime(tzinfo=UTC)


class ExecutionHandle:
    """One execution. It goes on whether or not anybody holds a handle.

    Methods raise `RemoteWorkersError` if the server refuses, NOT_FOUND once the execution's retention is over.

    Args:
        control_plane: The server.
        namespace: The execution's.
        execution_id: Its id.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str, execution_id: str) -> None:
        self.execution_id = execution_id
        self._control_plane = control_plane
        self.namespace = namespace
        self._graph: CompiledGraph | None = None

    def __repr__(self) -> str:
        return f"<ExecutionHandle {self.namespace}/{self.execution_id}>"

    async def status(self) -> ExecutionInfo:
        """Give where it stands.

        Raises:
            ControlPlaneUnreachableError: If no server answers.

        """
        return ExecutionInfo.of(await self._control_plane.executions.get(self.namespace, self.execution_id))

    async def cancel(self, reason: str = "") -> None:
        """Ask for its end: open work items are cancelled, nothing more begins. Done by whoever owns it; idempotent.

        Args:
            reason: For people, up to 256 characters.

        Raises:
            RemoteWorkersError: WRONG_STATUS if it has ended otherwise.
            ControlPlaneUnreachableError: If no server answers.

        """
        await self._control_plane.executions.cancel(self.namespace, self.execution_id, reason)

    async def events(self, *, follow: bool = True) -> AsyncIterator[Event]:
        """Yield its events from the first on.

        Args:
            follow: Wait for further ones until the execution ends, also while the server is away.

        """
        patience = Patience(f"events of execution {self.execution_id} cannot be read", Random())
        first, wait, ended = 1, _NO_WAIT, False
        while True:
            page = await patience.insist(partial(self._read, first, wait))
            for message in page.events:
                yield from_message(message)
            first += len(page.events)
            if first < page.next_sequence:
                continue
            if ended or not follow or page.status not in _GOING_ON:
                return
            # The journal of an execution that was discarded has no end. One that has ended since has events to be read.
            ended = (wait == _NO_WAIT or not page.events) and await self._has_ended()
            wait = _NO_WAIT if ended else _WAIT

    async def graph(self) -> CompiledGraph:
        """Give the graph that it runs, as it was when it was started; local operators are not linked."""
        if self._graph is None:
            info = await self.status()
            item = await self._control_plane.get(ItemRef(self.namespace, info.worker_topic, self.execution_id))
            payload = ExecutionPayload.parse(item.spec.payload)
            self._graph = link(recorded_graph(payload), OperatorRegistry())
        return self._graph

    async def state(self) -> ExecutionState:
        """Give where each node stands by the journal so far."""
        state = ExecutionState()
        async for event in self.events(follow=False):
            state = apply(state, event)
        return state

    async def result(self, *, on_event: OnEvent | None = None) -> ExecutionResult:
        """Wait for its end, also while the server is away, and tell what became of it.

        A node that fails does not raise: the result tells.

        Args:
            on_event: Called with each event, from the first on; must not block.

        Raises:
            ExecutionLostError: If its work item was discarded.

        """
        state = ExecutionState()
        async for event in self.events():
            state = apply(state, event)
            if on_event is not None:
                on_event(event)
        if not state.finished:
            raise ExecutionLostError(self.execution_id, (await self.status()).failure_message)
        return result_of(Plan(await self.graph()), state)

    async def _read(self, first: int, wait: timedelta) -> pb.ReadEventsResponse:
        return await self._control_plane.executions.read(self.namespace, self.execution_id, first, wait)

    async def _has_ended(self) -> bool:
        """Tell whether its work item says so."""
        patience = Patience(f"execution {self.execution_id} cannot be read", Random())
        found = await patience.insist(self.status)
        return found.status.ended


_GOING_ON = frozenset({pb.EXECUTION_STATUS_PENDING, pb.EXECUTION_STATUS_RUNNING})
