"""Frames of a `Work` stream on their way out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from bloge.remote_workers.v1 import work_stream_pb2 as pb


class FrameQueue:
    """What a session has yet to send: cancels, pings and verdicts never wait behind offers."""

    def __init__(self) -> None:
        self._urgent: deque[pb.WorkResponse] = deque()
        self._offers: deque[pb.WorkResponse] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, frame: pb.WorkResponse) -> None:
        """Add a frame."""
        (self._offers if frame.WhichOneof("frame") == "offers" else self._urgent).append(frame)
        self._changed.set()

    def close(self, error: BaseException | None = None) -> None:
        """End the session once everything is out, with an error if there is one."""
        self._closed = True
        self._error = self._error or error
        self._changed.set()

    async def drain(self) -> AsyncIterator[pb.WorkResponse]:
        """Yield frames as they come, until the queue is closed and empty.

        Raises:
            BaseException: what the queue was closed with.
        """
        while True:
            while self._urgent or self._offers:
                yield self._urgent.popleft() if self._urgent else self._offers.popleft()
            if self._closed:
                break
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error
