"""Enqueues the work items of all executions of a process: together, topic by topic, and for as long as need be."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.patience import PASSING, Patience

MOST_AT_ONCE = 500
"""Items of one request."""

Refusal = RemoteWorkersError | None
"""Why an item was refused; None if it is there, new or from before."""

TryEnqueue = Callable[[Sequence[pb.WorkItemSpec]], Awaitable[list[Refusal]]]
"""Tries once; gives the answers in order."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """An item that is not enqueued yet."""

    spec: pb.WorkItemSpec
    done: "asyncio.Future[Refusal]"
    on_the_way: bool = False
    unwanted: bool = False

    def settle(self, refusal: Refusal) -> None:
        """Say what became of it, unless nobody listens any more."""
        if not self.done.done():
            self.done.set_result(refusal)


class Enqueuer:
    """Has a lane for each topic, so that a topic that takes nothing for now holds up no other.

    Whatever comes while a request is on its way goes with the next one. To be used on one event loop.

    Args:
        try_enqueue: Sends one request.
        random: Spreads the tries.
    """

    def __init__(self, try_enqueue: TryEnqueue, random: Random) -> None:
        self._try = try_enqueue
        self._random = random
        self._lanes: dict[str, _Lane] = {}

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[Refusal]:
        """Enqueue items; give for each one, in order, why it was refused for good, or None."""
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(item, loop.create_future()) for item in items]
        for each in waiting:
            self._lane(each.spec.worker_topic).add(each)
        return await asyncio.gather(*(each.done for each in waiting))

    async def withdraw(self, worker_topic: str, item_ids: Iterable[str]) -> None:
        """Take back what is not enqueued yet, and return once what is on its way has arrived."""
        await self._lane(worker_topic).withdraw(frozenset(item_ids))

    async def close(self) -> None:
        """Enqueue nothing more."""
        tasks = [lane.running for lane in self._lanes.values() if lane.running is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _lane(self, worker_topic: str) -> "_Lane":
        if worker_topic not in self._lanes:
            self._lanes[worker_topic] = _Lane(self._try, self._random)
        return self._lanes[worker_topic]


class _Lane:
    """The items of one topic, in the order of their coming."""

    def __init__(self, try_enqueue: TryEnqueue, random: Random) -> None:
        self.running: asyncio.Task[None] | None = None
        self._try = try_enqueue
        self._random = random
        self._waiting: deque[_Waiting] = deque()

    def add(self, item: _Waiting) -> None:
        """Enqueue an item after those before."""
        self._waiting.append(item)
        if self.running is None or self.running.done():
            self.running = asyncio.create_task(self._run(), name="bloge-enqueue")

    async def withdraw(self, item_ids: frozenset[str]) -> None:
        """Take items back; wait for those on their way."""
        meant = [each for each in self._waiting if each.spec.item_id in item_ids]
        for each in meant:
            each.unwanted = True
            if not each.on_the_way:
                each.settle(None)
        await asyncio.gather(*(each.done for each in meant))

    async def _run(self) -> None:
        patience = self._new_patience()
        try:
            while batch := self._next_batch():
                refusal = await self._send(batch)
                if refusal is None:
                    patience = self._new_patience()
                else:
                    await patience.wait(refusal)
        except BaseException as error:
            for each in self._waiting:
                if not each.done.done():
                    each.done.set_exception(error)
            self._waiting.clear()
            raise

    def _new_patience(self) -> Patience:
        return Patience("work items cannot be enqueued", self._random)

    def _next_batch(self) -> list[_Waiting]:
        while self._waiting and self._waiting[0].done.done():
            self._waiting.popleft()
        wanted = (each for each in self._waiting if not each.done.done())
        return list(islice(wanted, MOST_AT_ONCE))

    async def _send(self, batch: Sequence[_Waiting]) -> Refusal:
        """Try once; return why some have to be tried again, if any have."""
        for each in batch:
            each.on_the_way = True
        refusals = await self._try([each.spec for each in batch])
        passing: Refusal = None
        for each, refusal in zip(batch, refusals, strict=True):
            each.on_the_way = False
            if refusal is None or refusal.reason not in PASSING or each.unwanted:
                each.settle(refusal)
            else:
                passing = refusal
        return passing
