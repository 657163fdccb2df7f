"""Enqueues what a plan says, when it says so, and takes the outcomes."""

import asyncio
import json
import time
from array import array
from collections.abc import Iterable

from benchmarks.load.ledger import Ledger
from benchmarks.load.plan import RETRIES, Plan
from benchmarks.load.worker import BUSINESS_CODE
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeSource

NAMESPACE = "default"
_BATCH = 500
_CALLS = 4
"""Calls in flight while the backlog is enqueued."""
_TICK_SECONDS = 0.001
"""Arrivals that are no further apart share a call."""
_SUSPEND_SECONDS = 86_400
_BACKOFF_MS = 100
_LEASE_LOSSES = 1000
"""Other items of a worker that a script kills lose their lease through no fault of theirs, however often."""


class Enqueuer:
    """The program that wants work done.

    Args:
        control_plane: where to enqueue.
        ledger: takes what becomes of the items.
        run: names this run; ids and the reply group begin with it.
    """

    def __init__(self, control_plane: ControlPlane, ledger: Ledger, run: str) -> None:
        self._control_plane = control_plane
        self._ledger = ledger
        self._run = run
        self._names = [name for name, _ in ledger.plan.profile.topics]
        self._began = 0.0
        self._calls: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.lags_ms: array[float] = array("d")
        """For each call, how late it went out after the planned arrival of its first item."""
        self.changed = asyncio.Event()
        """Set whenever an outcome has arrived."""

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def start(self) -> None:
        """Let the time begin, and watch for outcomes."""
        self._began = time.perf_counter()
        for name in self._names:
            self._control_plane.outcomes.add(OutcomeSource(NAMESPACE, name, self._run), self._take)

    async def fill(self) -> float:
        """Enqueue the backlog, a few batches at a time; return how many seconds it took."""
        began = time.perf_counter()
        room = asyncio.Semaphore(_CALLS)

        async def send(batch: range) -> None:
            async with room:
                await self._enqueue(batch)

        async with asyncio.TaskGroup() as group:
            for batch in _batches(0, self._plan.profile.backlog):
                group.create_task(send(batch))
        self.sent = self._plan.profile.backlog
        return time.perf_counter() - began

    async def arrive(self) -> None:
        """Enqueue the rest as it arrives. No call waits for another, so a stall of the server shows in latencies."""
        plan = self._plan
        while self.sent < len(plan):
            end = plan.due(self.sent, self.now)
            for batch in _batches(self.sent, end):
                self.lags_ms.append((self.now - plan.at[batch.start]) * 1000)
                call = asyncio.create_task(self._enqueue(batch))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)
            self.sent = end
            if end < len(plan):
                await asyncio.sleep(max(_TICK_SECONDS, plan.at[end] - self.now))
        await asyncio.gather(*self._calls)

    async def until_over(self) -> bool:
        """Wait until every item has ended; return False once patience is spent without an outcome."""
        patience = self._plan.profile.patience
        while not self._ledger.is_over:
            self.changed.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.changed.wait()
            except TimeoutError:
                return False
        return True

    @property
    def _plan(self) -> Plan:
        return self._ledger.plan

    async def _enqueue(self, batch: Iterable[int]) -> None:
        refusals = await self._control_plane.enqueue(NAMESPACE, [self._spec(item) for item in batch])
        for refusal in refusals:
            if refusal is None:
                self._ledger.enqueued += 1
            else:
                self._ledger.surprises[f"enqueues refused: {refusal.reason}"] += 1

    def _spec(self, item: int) -> pb.WorkItemSpec:
        """Return an item with every promise on: retries, reply group, suspend deadline."""
        spec = pb.WorkItemSpec(
            item_id=f"{self._run}-{item}",
            worker_topic=self._names[self._plan.topics[item]],
            payload=self._plan.payload(item),
            retry_policy=pb.RetryPolicy(attempts=RETRIES, strategy=pb.BACKOFF_STRATEGY_EXPONENTIAL),
            max_lease_losses=_LEASE_LOSSES,
            reply_group=self._run,
        )
        spec.retry_policy.backoff.FromMilliseconds(_BACKOFF_MS)
        spec.suspend_timeout.FromSeconds(_SUSPEND_SECONDS)
        return spec

    def _take(self, outcome: pb.Outcome) -> None:
        reference = outcome.item
        run, _, number = reference.item_id.rpartition("-")
        item = int(number) if run == self._run else -1
        self._ledger.end(item, _kind(outcome, item), self.now)
        self._control_plane.outcomes.acknowledge(
            [ItemRef(reference.namespace, reference.worker_topic, reference.item_id)]
        )
        self.changed.set()


def _kind(outcome: pb.Outcome, item: int) -> str:
    """Return what an outcome says, in the words of the plan."""
    if outcome.kind == pb.OUTCOME_KIND_COMPLETED:
        return "completed" if json.loads(outcome.output) == {"item": item} else "completed with another item's output"
    if outcome.business_error.code == BUSINESS_CODE:
        return "business error"
    return pb.OutcomeKind.Name(outcome.kind).removeprefix("OUTCOME_KIND_").lower()


def _batches(start: int, end: int) -> list[range]:
    return [range(first, min(first + _BATCH, end)) for first in range(start, end, _BATCH)]
