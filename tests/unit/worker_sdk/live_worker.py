"""Helpers around a worker that runs against a scripted server."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from unit.worker_sdk.scripted_server import PATIENCE, ScriptedServer, ServerSession

from bloge_worker import Worker

T = TypeVar("T")


def aside(call: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
    """Call the server's side, which blocks, off the loop."""
    return asyncio.to_thread(call, *args, **kwargs)


@asynccontextmanager
async def working(worker: Worker, server: ScriptedServer, **settings: float) -> AsyncIterator[ServerSession]:
    """Run a worker with a session, and drain it at the end."""
    async with worker:
        session = await aside(server.next_session)
        await aside(session.welcome, **settings)
        await worker.connected()
        yield session
    assert not worker.healthy


class EventLog(logging.Handler):
    """Hands over warnings as they are logged, from whatever thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: SimpleQueue[str] = SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's text."""
        self.texts.put(record.getMessage())

    def next(self) -> str:
        """Return the next warning."""
        try:
            return self.texts.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("nothing was logged") from None

    async def next_text(self) -> str:
        """Return the next warning, without blocking the loop."""
        return await aside(self.next)
