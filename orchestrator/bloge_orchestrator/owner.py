"""Runs executions under leases: the handler of EXECUTE_GRAPH work items."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from math import inf
from random import Random

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.enqueuing import Enqueuer
from bloge_orchestrator.errors import FencedOffError
from bloge_orchestrator.execution.ending import ending_of
from bloge_orchestrator.execution.events import Event, EventError
from bloge_orchestrator.execution.happenings import Begun, CancelAsked
from bloge_orchestrator.execution.payload import ExecutionPayload, GraphLibrary, PayloadError, missing_operators
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.remote_items import WorkItemsOf
from bloge_orchestrator.execution.remote_journal import Opened, RemoteJournal
from bloge_orchestrator.execution.runner import Clock, Left, Runner
from bloge_orchestrator.graph_json import GraphFormatError
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.patience import Patience
from bloge_worker import GraphCancelled, Reject, Release, WorkContext

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0
"""Seconds after which an execution that this process cannot run is offered again, growing with each time."""
_DOUBLINGS = 6
_REASON_LENGTH = 256

_GROWTH_INTERVAL = 1.0
"""Seconds between two heartbeats that tell how long the journal is; what is not told, the next owner finds."""

_log = logging.getLogger("bloge_orchestrator")


@dataclass(frozen=True, slots=True)
class Resources:
    """What all executions of a process share."""

    control_plane: ControlPlane
    namespace: str
    registry: OperatorRegistry
    secrets: Mapping[str, str]
    clock: Clock
    random: Random = field(default_factory=Random)


class Owner:
    """Takes executions over, runs them to their end, and tells the control plane how they ended.

    Args:
        resources: What the executions share.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._library = GraphLibrary(resources.registry)
        namespace, control_plane = resources.namespace, resources.control_plane
        self._enqueuer = Enqueuer(lambda items: control_plane.try_enqueue(namespace, items), resources.random)
        self._runners: set[Runner] = set()
        self._leaving = False

    def know(self, graph: CompiledGraph) -> None:
        """Run executions of this very graph with the operators that it has."""
        self._library.know(graph)

    def leave(self) -> None:
        """Let local attempts that run come to their end, and hand every execution on to another process."""
        self._leaving = True
        for runner in self._runners:
            runner.leave()

    async def close(self) -> None:
        """Enqueue nothing more."""
        await self._enqueuer.close()

    async def own(self, payload: bytes, ctx: WorkContext) -> bytes | GraphCancelled:
        """Own one execution while its lease lasts.

        Raises:
            Release: If it is to go on elsewhere.
            Reject: If it is not an execution.
            BusinessError: If it failed.

        """
        parsed = _parse(payload)
        graph = self._linked(parsed, ctx)
        try:
            return await self._run(Plan(graph, self._resources.secrets), parsed, ctx)
        except FencedOffError as error:
            _log.error("fenced off, stopping at once: %s", error)
            raise Release(0.0, "fenced off") from error
        except Left as error:
            raise Release(0.0, "the orchestrator is leaving") from error
        except EventError as error:
            raise _not_here(ctx, str(error)) from error

    def _linked(self, payload: ExecutionPayload, ctx: WorkContext) -> CompiledGraph:
        """Give the graph of an execution, if this process can run it."""
        try:
            graph = self._library.graph_of(payload)
        except GraphFormatError as error:
            raise _not_here(ctx, str(error)) from error
        missing = missing_operators(graph)
        if missing:
            raise _not_here(ctx, f"no operator {', '.join(missing)} is registered here")
        return graph

    async def _run(self, plan: Plan, payload: ExecutionPayload, ctx: WorkContext) -> bytes | GraphCancelled:
        resources, execution_id = self._resources, ctx.item_id
        opened = await self._open(ctx)
        items = WorkItemsOf(
            resources.control_plane, self._enqueuer, resources.namespace, execution_id, resources.random
        )
        runner = Runner(plan, _Growing(opened.journal, ctx), items, resources.clock, opened.state)
        with self._running(runner), items.watched(plan.worker_topics, runner):
            async with self._cancellations(runner, opened, ctx):
                state = await runner.run(Begun(execution_id, resources.namespace, payload.business_key, payload.input))
            await items.settle(plan.worker_topics)
        return ending_of(plan, state, opened.max_output_bytes)

    async def _open(self, ctx: WorkContext) -> Opened:
        resources = self._resources
        client = resources.control_plane.executions
        try:
            return await RemoteJournal.open(
                client, ctx.lease.lease_token, resources.namespace, ctx.item_id, resources.random
            )
        except RemoteWorkersError as error:
            if error.reason is Reason.NOT_FOUND:
                raise Reject("its journal is gone; start the execution anew") from error
            raise

    @contextmanager
    def _running(self, runner: Runner) -> Iterator[None]:
        self._runners.add(runner)
        if self._leaving:
            runner.leave()
        try:
            yield
        finally:
            self._runners.discard(runner)

    @asynccontextmanager
    async def _cancellations(self, runner: Runner, opened: Opened, ctx: WorkContext) -> AsyncIterator[None]:
        """Bring a wish that the execution be cancelled to it, from before or while the block runs."""
        if opened.cancel_reason is not None:
            runner.post(CancelAsked(opened.cancel_reason))
        listening = asyncio.create_task(self._listen(runner, ctx))
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, runner: Runner, ctx: WorkContext) -> None:
        await ctx.until_cancel_requested()
        resources = self._resources
        patience = Patience(f"why execution {ctx.item_id} is to be cancelled cannot be read", resources.random)
        found = await patience.insist(lambda: resources.control_plane.executions.get(resources.namespace, ctx.item_id))
        runner.post(CancelAsked(found.cancel_reason))


class _Growing:
    """A journal whose growth the lease is told of: an owner that gets on is no poison, however often it dies.

    Args:
        journal: The journal.
        ctx: The lease.
    """

    def __init__(self, journal: RemoteJournal, ctx: WorkContext) -> None:
        self._journal = journal
        self._ctx = ctx
        self._told_at = -inf

    async def append(self, events: Sequence[Event]) -> None:
        """Record events."""
        await self._journal.append(events)
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _GROWTH_INTERVAL:
            self._told_at = now
            self._ctx.progress(str(events[-1].sequence + 1).encode())


def _parse(payload: bytes) -> ExecutionPayload:
    try:
        return ExecutionPayload.parse(payload)
    except PayloadError as error:
        raise Reject(str(error)) from error


def _not_here(ctx: WorkContext, why: str) -> Release:
    """Leave an execution to an owner that can run it; the pause grows with each time that it is offered in vain."""
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(ctx.claim_count - 1, _DOUBLINGS))
    _log.warning("execution %s cannot be run here: %s; handed back for %g s", ctx.item_id, why, delay)
    return Release(delay, why[:_REASON_LENGTH])
