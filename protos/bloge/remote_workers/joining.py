"""Joins small calls of one kind, so that many callers share a call.

A call costs both its ends about as much for one item as for ten. So a small call that comes while others of its kind
are on their way waits for one of them to return, and goes out together with whatever came meanwhile. A call that comes
alone waits for nothing: under light load nothing is delayed, under heavy load batches grow by themselves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Kind = TypeVar("Kind", bound=Hashable)
Item = TypeVar("Item")
Reply = TypeVar("Reply")

MOST_ITEMS = 500
"""In one call: the most that a request may hold, and that a script takes."""
MOST_BYTES = 2_500_000
"""In one call: the servers' limit is 4 MiB, and framing adds to it."""
_LARGE = MOST_ITEMS // 2
"""Calls of so many items gain nothing by waiting."""
_AT_A_TIME = 2
"""Small calls of one kind on their way: while the other side works on one, the next one is on its way to it."""


class _Waiting(NamedTuple, Generic[Item, Reply]):
    items: Sequence[Item]
    replies: "asyncio.Future[Sequence[Reply]]"


@dataclass(slots=True)
class _Lane(Generic[Item, Reply]):
    """The small calls of one kind."""

    on_their_way: int = 0
    waiting: deque[_Waiting[Item, Reply]] = field(default_factory=deque)


class Joining(Generic[Kind, Item, Reply]):
    """Sends calls, small ones of a kind together where others are on their way.

    Args:
        call: makes a call of a kind about some items; returns one reply for each.
        size: returns the bytes that an item takes in a call.
    """

    def __init__(
        self, call: Callable[[Kind, Sequence[Item]], Awaitable[Sequence[Reply]]], size: Callable[[Item], int]
    ) -> None:
        self._call = call
        self._size = size
        self._lanes: dict[Kind, _Lane[Item, Reply]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, kind: Kind, items: Sequence[Item]) -> Sequence[Reply]:
        """Return one reply for each item; raises what the call raises, as each caller of a joined call does."""
        if len(items) >= _LARGE:
            return await self._call(kind, items)
        lane = self._lanes.setdefault(kind, _Lane())
        if lane.on_their_way >= _AT_A_TIME:
            waiting: _Waiting[Item, Reply] = _Waiting(items, asyncio.get_running_loop().create_future())
            lane.waiting.append(waiting)
            return await waiting.replies
        lane.on_their_way += 1
        try:
            return await self._call(kind, items)
        finally:
            self._returned(kind, lane)

    def _returned(self, kind: Kind, lane: _Lane[Item, Reply]) -> None:
        lane.on_their_way -= 1
        if lane.waiting:
            lane.on_their_way += 1
            running = asyncio.create_task(self._send(kind, lane, self._joined(lane.waiting)))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        elif not lane.on_their_way:
            del self._lanes[kind]

    async def _send(self, kind: Kind, lane: _Lane[Item, Reply], batch: list[_Waiting[Item, Reply]]) -> None:
        try:
            replies = await self._call(kind, [item for each in batch for item in each.items])
        except BaseException as error:
            for each in batch:
                if not each.replies.done():
                    each.replies.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            start = 0
            for items, waiting in batch:
                if not waiting.done():
                    waiting.set_result(replies[start : start + len(items)])
                start += len(items)
        finally:
            self._returned(kind, lane)

    def _joined(self, waiting: deque[_Waiting[Item, Reply]]) -> list[_Waiting[Item, Reply]]:
        """Take as many of those who wait as fit one call; the first always does."""
        batch = [waiting.popleft()]
        items, size = len(batch[0].items), self._bytes(batch[0])
        while waiting:
            items += len(waiting[0].items)
            size += self._bytes(waiting[0])
            if items > MOST_ITEMS or size > MOST_BYTES:
                break
            batch.append(waiting.popleft())
        return batch

    def _bytes(self, waiting: _Waiting[Item, Reply]) -> int:
        return sum(map(self._size, waiting.items))
