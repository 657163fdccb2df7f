"""Joins small calls on one topic, so that many callers share a script call.

A script call costs the store and this process about as much for one item as for ten. So a small call that comes while
others of its kind are on their way waits for one of them to return, and goes out together with whatever came meanwhile.
A call that comes alone waits for nothing: under light load nothing is delayed, under heavy load batches grow by
themselves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bloge_server.store.nodes import Argument

Part = Sequence[Argument]
"""The arguments of one item."""
Call = Callable[[str, str, str, Sequence[Part]], Awaitable[list[Any]]]
"""Calls a script of a namespace's topic for some items; returns one reply for each."""

MOST_ITEMS = 500
"""In one call: more would keep the store from everybody else, or not fit Lua's stack."""
MOST_BYTES = 2_500_000
_LARGE = MOST_ITEMS // 2
"""Calls of so many items gain nothing by waiting."""
_AT_A_TIME = 2
"""Small calls of one kind on their way: while the store works on one, the next one is on its way to it."""


class _Waiting(NamedTuple):
    parts: Sequence[Part]
    replies: "asyncio.Future[list[Any]]"


@dataclass(slots=True)
class _Lane:
    """The small calls of one script on one topic."""

    on_their_way: int = 0
    waiting: deque[_Waiting] = field(default_factory=deque)


class Joining:
    """Sends calls, small ones together where others are on their way.

    Args:
        call: sends one.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._lanes: dict[tuple[str, str, str], _Lane] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, script: str, namespace: str, worker_topic: str, parts: Sequence[Part]) -> list[Any]:
        """Return one reply for each item; raises what the call raises, as each caller of a joined call does."""
        if len(parts) >= _LARGE:
            return await self._call(script, namespace, worker_topic, parts)
        name = (script, namespace, worker_topic)
        lane = self._lanes.setdefault(name, _Lane())
        if lane.on_their_way >= _AT_A_TIME:
            waiting = _Waiting(parts, asyncio.get_running_loop().create_future())
            lane.waiting.append(waiting)
            return await waiting.replies
        lane.on_their_way += 1
        try:
            return await self._call(*name, parts)
        finally:
            self._returned(name, lane)

    def _returned(self, name: tuple[str, str, str], lane: _Lane) -> None:
        lane.on_their_way -= 1
        if lane.waiting:
            lane.on_their_way += 1
            running = asyncio.create_task(self._send(name, lane, _joined(lane.waiting)))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        elif not lane.on_their_way:
            del self._lanes[name]

    async def _send(self, name: tuple[str, str, str], lane: _Lane, batch: list[_Waiting]) -> None:
        try:
            replies = await self._call(*name, [part for each in batch for part in each.parts])
        except BaseException as error:
            for each in batch:
                if not each.replies.done():
                    each.replies.set_exception(error)
            if not isinstance(error, Exception):
                raise
        else:
            start = 0
            for parts, waiting in batch:
                if not waiting.done():
                    waiting.set_result(replies[start : start + len(parts)])
                start += len(parts)
        finally:
            self._returned(name, lane)


def _joined(waiting: deque[_Waiting]) -> list[_Waiting]:
    """Take as many of those who wait as fit one call; the first always does."""
    batch = [waiting.popleft()]
    items, size = len(batch[0].parts), _size(batch[0].parts)
    while waiting:
        items += len(waiting[0].parts)
        size += _size(waiting[0].parts)
        if items > MOST_ITEMS or size > MOST_BYTES:
            break
        batch.append(waiting.popleft())
    return batch


def _size(parts: Sequence[Part]) -> int:
    return sum(len(argument) for part in parts for argument in part if isinstance(argument, str | bytes))
