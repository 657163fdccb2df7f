"""The shell around the decisions: records events, carries out actions, and takes what they lead to back in."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.execution.actions import (
    Acknowledge,
    Action,
    CancelItem,
    Enqueue,
    Finish,
    StartLocal,
    StopLocal,
    WaitUntil,
    WatchDeadline,
)
from bloge_orchestrator.execution.decide import Decision, decide
from bloge_orchestrator.execution.events import Event
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.execution.happenings import DeadlinePassed, EnqueueRefused, Happening, RetryDue
from bloge_orchestrator.execution.journal import Journal
from bloge_orchestrator.execution.local import run_operator
from bloge_orchestrator.execution.plan import Plan, execution_context
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus
from bloge_orchestrator.operators import LocalOperator, OperatorContext
from bloge_orchestrator.tracing import EnqueueSpans, execution_span

Clock = Callable[[], int]
"""Gives the time in milliseconds since 1970."""

OnEvent = Callable[[Event], None]
"""Told of each event once it is recorded."""

_ON_THE_WAY_SECONDS = 2.0
"""How long a cancellation waits for enqueues that are on their way."""

_log = logging.getLogger("bloge_orchestrator")


class WorkItems(Protocol):
    """What an execution asks of the control plane."""

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[RemoteWorkersError | None]:
        """Enqueue items; give for each one why it was refused for good, or None."""

    async def cancel(self, items: Iterable[tuple[str, str]], reason: str) -> None:
        """Withdraw items, given as topic and id, and acknowledge their outcomes."""

    def acknowledge(self, worker_topic: str, item_id: str) -> None:
        """Say that an outcome is recorded."""


class Runner:
    """Runs one execution.

    Args:
        plan: The graph.
        journal: Where its events are recorded.
        items: Its work items.
        clock: Tells the time.
        on_event: Told of each event. What it raises is logged and changes nothing.
    """

    def __init__(
        self, plan: Plan, journal: Journal, items: WorkItems, clock: Clock, on_event: OnEvent | None = None
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._items = items
        self._clock = clock
        self._on_event = on_event
        self._state = ExecutionState()
        self._inbox: asyncio.Queue[Happening] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._enqueues: set[asyncio.Task[None]] = set()
        self._locals: dict[tuple[str, int], asyncio.Task[None]] = {}
        """The attempts that run, by node and number."""

    @property
    def state(self) -> ExecutionState:
        """Where the execution stands, as recorded."""
        return self._state

    def post(self, happening: Happening) -> None:
        """Tell the execution what happened. To be called on its event loop."""
        self._inbox.put_nowait(happening)

    async def run(self, first: Happening) -> ExecutionState:
        """Run the execution to its end.

        Args:
            first: What sets it going.

        """
        self.post(first)
        with execution_span(self._plan.graph.spec.name):
            async with asyncio.TaskGroup() as group:
                while not self._state.finished:
                    await self._step(group)
                for task in self._tasks:
                    task.cancel()
        return self._state

    async def withdraw(self, reason: str) -> None:
        """Cancel the work items that nodes wait for."""
        open_items = [
            (self._plan.node(path).spec.worker_topic or "", node.items[-1])
            for path, node in self._state.nodes.items()
            if node.status is NodeStatus.SUSPENDED
        ]
        if open_items:
            await self._items.cancel(open_items, reason)

    async def _step(self, group: asyncio.TaskGroup) -> None:
        """Take in all that has happened, record it at once, and do what follows."""
        decision = self._decide(await self._inbox.get())
        events, actions = list(decision.events), list(decision.actions)
        while not self._inbox.empty():
            decision = self._decide(self._inbox.get_nowait(), decision.state)
            events += decision.events
            actions += decision.actions
        if events:
            await self._journal.append(events)
        self._state = decision.state
        self._tell(events)
        await self._act(group, actions)

    def _decide(self, happening: Happening, state: ExecutionState | None = None) -> Decision:
        return decide(self._plan, state or self._state, happening, self._clock())

    def _tell(self, events: Iterable[Event]) -> None:
        if self._on_event is None:
            return
        for event in events:
            try:
                self._on_event(event)
            except Exception:  # noqa: BLE001 - the caller's code; an execution does not depend on who looks on
                _log.exception("on_event failed for event %d of execution %s", event.sequence, self._state.execution_id)

    async def _act(self, group: asyncio.TaskGroup, actions: Sequence[Action]) -> None:
        enqueues = [action for action in actions if isinstance(action, Enqueue) and self._is_awaited(action)]
        cancels = [(action.worker_topic, action.item_id) for action in actions if isinstance(action, CancelItem)]
        if enqueues:
            task = self._start(group, self._enqueue(enqueues))
            self._enqueues.add(task)
            task.add_done_callback(self._enqueues.discard)
        for action in actions:
            self._act_on(group, action)
        if cancels:
            await self._cancel(cancels)

    def _act_on(self, group: asyncio.TaskGroup, action: Action) -> None:
        match action:
            case StartLocal(node_id, attempt):
                self._locals[node_id, attempt] = self._start(group, self._run_local(action))
            case StopLocal(node_id, attempt):
                self._stop_local(node_id, attempt)
            case WaitUntil(node_id, due_ms):
                self._start(group, self._say_at(due_ms, RetryDue(node_id)))
            case WatchDeadline(node_id, attempt, due_ms):
                self._start(group, self._say_at(due_ms, DeadlinePassed(node_id, attempt)))
            case Acknowledge(worker_topic, item_id):
                self._items.acknowledge(worker_topic, item_id)
            case Enqueue() | CancelItem() | Finish():
                pass  # done for all of them at once, or nothing to be done

    def _is_awaited(self, action: Enqueue) -> bool:
        """Tell whether a node still waits for an item; what happened since may have ended that."""
        node = self._state.node(action.node_id)
        return node.status is NodeStatus.SUSPENDED and node.items[-1] == action.item_id

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_local(self, action: StartLocal) -> None:
        node = self._plan.node(action.node_id)
        assert isinstance(node.operator, LocalOperator), "the compiler gives every local node one"
        context = OperatorContext(execution_context(self._plan, self._state, action.node_id), action.attempt)
        self.post(await run_operator(node.operator, action, context, node.spec.timeout))
        self._locals.pop((action.node_id, action.attempt), None)

    def _stop_local(self, node_id: str, attempt: int) -> None:
        task = self._locals.pop((node_id, attempt), None)
        if task is not None:
            task.cancel()

    async def _say_at(self, due_ms: int, happening: Happening) -> None:
        await asyncio.sleep(max(0, due_ms - self._clock()) / 1000)
        self.post(happening)

    async def _enqueue(self, actions: Sequence[Enqueue]) -> None:
        items = [pb.WorkItemSpec.FromString(action.work_item) for action in actions]
        spans = EnqueueSpans(items)
        refusals = await self._items.enqueue(items)
        spans.end(refusals)
        for action, refusal in zip(actions, refusals, strict=True):
            if refusal is not None:
                self.post(EnqueueRefused(action.node_id, action.item_id, _refused(refusal)))

    async def _cancel(self, items: Sequence[tuple[str, str]]) -> None:
        if self._enqueues:  # an item that is on its way cannot be cancelled yet
            await asyncio.wait(self._enqueues, timeout=_ON_THE_WAY_SECONDS)
        await self._items.cancel(items, self._state.cancel_reason or "")


def _refused(refusal: RemoteWorkersError) -> NodeError:
    hint = ""
    if refusal.reason is Reason.CONTENT_DIFFERS:
        hint = "; an earlier execution had the same id, give this one another or none"
    return NodeError(refusal.reason.value, f"{refusal.message}{hint}")
