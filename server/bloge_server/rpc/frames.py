"""Frames of a `Work` stream on their way out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from bloge.remote_workers.v1 import work_stream_pb2 as pb

MOST_WAITING = 100
"""Frames, offers aside, that may wait before no more are read from a worker that does not take them."""
_MOST_CANCELS = 500


class FrameQueue:
    """What a session has yet to send: cancels, pings and verdicts never wait behind offers."""

    def __init__(self) -> None:
        self._urgent: deque[pb.WorkResponse] = deque()
        self._offers: deque[pb.WorkResponse] = deque()
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()
        self.closed = False
        """True once the session ends."""
        self._error: BaseException | None = None

    def put(self, frame: pb.WorkResponse) -> None:
        """Add a frame. Cancels that wait go out in one."""
        kind = frame.WhichOneof("frame")
        last = self._urgent[-1] if kind == "cancels" and self._urgent else None
        if last is not None and last.HasField("cancels") and len(last.cancels.cancels) < _MOST_CANCELS:
            last.cancels.cancels.extend(frame.cancels.cancels)
            return
        (self._offers if kind == "offers" else self._urgent).append(frame)
        self._changed.set()

    async def room(self) -> None:
        """Wait until the worker takes what it was sent: answers to what it says next would else pile up here."""
        while len(self._urgent) >= MOST_WAITING and not self.closed:
            self._taken.clear()
            await self._taken.wait()

    def close(self, error: BaseException | None = None) -> None:
        """End the session once everything is out, with an error if there is one."""
        self.closed = True
        self._error = self._error or error
        self._changed.set()
        self._taken.set()

    async def drain(self) -> AsyncIterator[pb.WorkResponse]:
        """Yield frames as they come, until the queue is closed and empty.

        Raises:
            BaseException: what the queue was closed with.
        """
        while True:
            while self._urgent or self._offers:
                yield self._urgent.popleft() if self._urgent else self._offers.popleft()
                self._taken.set()
            if self.closed:
                break
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error
