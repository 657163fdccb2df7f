"""The shell around the decisions: records events, carries out actions, and takes what they lead to back in."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

from bloge.remote_workers.errors import RemoteWorkersError
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
from bloge_orchestrator.execution.decide import Decision, decide, resume
from bloge_orchestrator.execution.events import Event
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.execution.happenings import (
    Begun,
    DeadlinePassed,
    EnqueueRefused,
    Happening,
    OutcomeArrived,
    RetryDue,
)
from bloge_orchestrator.execution.journal import Journal
from bloge_orchestrator.execution.local import run_operator
from bloge_orchestrator.execution.plan import Plan, execution_context
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus
from bloge_orchestrator.operators import LocalOperator, OperatorContext
from bloge_orchestrator.tracing import EnqueueSpans

Clock = Callable[[], int]
"""Gives the time in milliseconds since 1970."""

OnEvent = Callable[[Event], None]
"""Told of each event once it is recorded."""

_UNBEGUN = ExecutionState()

_log = logging.getLogger("bloge_orchestrator")


class WorkItems(Protocol):
    """What an execution asks of the control plane."""

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[RemoteWorkersError | None]:
        """Enqueue items; give for each one why it was refused for good, or None."""

    async def cancel(self, items: Iterable[tuple[str, str]], reason: str) -> None:
        """Withdraw items, given as topic and id, and acknowledge their outcomes."""

    def acknowledge(self, worker_topic: str, item_id: str) -> None:
        """Say that an outcome is recorded."""


class Left(Exception):  # noqa: N818 - names what happened
    """The execution is to go on elsewhere: this process is leaving, and nothing of it runs here any more."""


class Runner:
    """Runs one execution, from wherever it stands.

    Args:
        plan: The graph.
        journal: Where its events are recorded.
        items: Its work items.
        clock: Tells the time.
        state: Where the execution stands by its journal.
        on_event: Told of each event. What it raises is logged and changes nothing.
    """

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        items: WorkItems,
        clock: Clock,
        state: ExecutionState = _UNBEGUN,
        on_event: OnEvent | None = None,
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._items = items
        self._clock = clock
        self._on_event = on_event
        self._state = state
        self._inbox: asyncio.Queue[Happening | None] = asyncio.Queue()
        self._leaving = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._withdrawals: set[asyncio.Task[None]] = set()
        self._locals: dict[tuple[str, int], asyncio.Task[None]] = {}
        """The attempts that run, by node and number."""

    @property
    def state(self) -> ExecutionState:
        """Where the execution stands, as recorded."""
        return self._state

    def post(self, happening: Happening) -> None:
        """Tell the execution what happened. To be called on its event loop."""
        if self._state.finished:
            self._let_go(happening)
        else:
            self._inbox.put_nowait(happening)

    def leave(self) -> None:
        """Start no more local attempts; once those that run have ended and are recorded, `run` raises `Left`."""
        self._leaving = True
        self._inbox.put_nowait(None)

    async def run(self, begun: Begun) -> ExecutionState:
        """Run the execution to its end; what was decided before is not decided again.

        Args:
            begun: What it is, for its first event, unless that is recorded already.

        Raises:
            Left: After `leave`.
            Exception: What the journal or the control plane raised. Nothing of the execution runs here any more then.

        """
        try:
            async with asyncio.TaskGroup() as group:
                await self._run(group, begun)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return self._state

    async def _run(self, group: asyncio.TaskGroup, begun: Begun) -> None:
        first = self._resume() if self._state.sequence else self._decide(begun, self._state)
        await self._carry_out(group, self._with_news(first))
        while not self._state.finished:
            self._check_leaving()
            happening = await self._inbox.get()
            await self._carry_out(group, self._with_news(self._decide(happening, self._state)))
        while not self._inbox.empty():  # what came while the end was being recorded
            self._let_go(self._inbox.get_nowait())
        if self._withdrawals:
            await asyncio.wait(self._withdrawals)
        for task in self._tasks:
            task.cancel()

    def _let_go(self, happening: Happening | None) -> None:
        """Take what happens after the end: nobody waits for an outcome any more."""
        if isinstance(happening, OutcomeArrived):
            self._items.acknowledge(happening.worker_topic, happening.outcome.item_id)

    def _with_news(self, first: Decision) -> Decision:
        """Join a decision with those on all that has happened meanwhile, to be recorded at once."""
        events, actions, state = list(first.events), list(first.actions), first.state
        while not self._inbox.empty():
            decision = self._decide(self._inbox.get_nowait(), state)
            events += decision.events
            actions += decision.actions
            state = decision.state
        return Decision(tuple(events), tuple(actions), state)

    def _decide(self, happening: Happening | None, state: ExecutionState) -> Decision:
        if happening is None:  # a nudge: look whether it is time to leave
            return Decision((), (), state)
        return decide(self._plan, state, happening, self._clock())

    def _resume(self) -> Decision:
        return resume(self._plan, self._state, self._clock())

    async def _carry_out(self, group: asyncio.TaskGroup, decision: Decision) -> None:
        if decision.events:
            await self._journal.append(decision.events)
        self._state = decision.state
        self._tell(decision.events)
        self._act(group, decision.actions)

    def _check_leaving(self) -> None:
        if self._leaving and not self._locals and self._inbox.empty():
            raise Left

    def _tell(self, events: Iterable[Event]) -> None:
        if self._on_event is None:
            return
        for event in events:
            try:
                self._on_event(event)
            except Exception:  # noqa: BLE001 - the caller's code; an execution does not depend on who looks on
                _log.exception("on_event failed for event %d of execution %s", event.sequence, self._state.execution_id)

    def _act(self, group: asyncio.TaskGroup, actions: Sequence[Action]) -> None:
        enqueues = [action for action in actions if isinstance(action, Enqueue) and self._is_awaited(action)]
        cancels = [(action.worker_topic, action.item_id) for action in actions if isinstance(action, CancelItem)]
        if enqueues:
            self._start(group, self._enqueue(enqueues))
        for action in actions:
            self._act_on(group, action)
        if cancels:
            withdrawal = self._start(group, self._items.cancel(cancels, self._state.cancel_reason or ""))
            self._withdrawals.add(withdrawal)
            withdrawal.add_done_callback(self._withdrawals.discard)

    def _act_on(self, group: asyncio.TaskGroup, action: Action) -> None:
        match action:
            case StartLocal(node_id, attempt):
                if not self._leaving and self._runs(action):
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

    def _runs(self, action: StartLocal) -> bool:
        """Tell whether an attempt is still wanted, likewise."""
        node = self._state.node(action.node_id)
        return node.status is NodeStatus.RUNNING and node.attempts == action.attempt

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run_local(self, action: StartLocal) -> None:
        node = self._plan.node(action.node_id)
        assert isinstance(node.operator, LocalOperator), "the owner has every operator of its graph"
        context = OperatorContext(execution_context(self._plan, self._state, action.node_id), action.attempt)
        happening = await run_operator(node.operator, action, context, node.spec.timeout)
        self._locals.pop((action.node_id, action.attempt), None)
        self.post(happening)

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


def _refused(refusal: RemoteWorkersError) -> NodeError:
    return NodeError(refusal.reason.value, refusal.message)
