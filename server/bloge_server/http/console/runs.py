"""Long actions: carried out in the background on this server, step by step, and looked at from any."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import NamedTuple

import structlog
from starlette.exceptions import HTTPException

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.store.runs import Run, RunBook

MOST_AT_ONCE = 8
_LINES = 100

_log = structlog.get_logger(__name__)


class Step(NamedTuple):
    """What a step did."""

    done: int
    refused: int = 0
    lines: tuple[str, ...] = ()


Steps = AsyncIterator[Step]


class Runs:
    """The long actions of this server.

    Args:
        book: where their progress is noted.
        clock: seconds since the epoch.
    """

    def __init__(self, book: RunBook, clock: Callable[[], float] = time.time) -> None:  # noqa: TID251 - for people
        self.book = book
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, namespace: str, title: str, unit: str, steps: Steps, *, total: int = 0, rate: int = 0) -> str:
        """Begin an action; return its id.

        Args:
            namespace: that it is about.
            title: what it does.
            unit: what its steps count.
            steps: carry it out.
            total: how much there is to do; 0: nobody knows.
            rate: how much may be done in a second; 0: no limit.

        Raises:
            HTTPException: 429 if too much is going on already.
        """
        if len(self._tasks) >= MOST_AT_ONCE:
            raise HTTPException(429, f"{MOST_AT_ONCE} long actions are going on here already; wait for one to end")
        now = self._now()
        run = Run(secrets.token_hex(8), title, unit, now, now, total)
        await self.book.write(namespace, run)
        task = asyncio.create_task(self._carry_out(namespace, run, steps, rate))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run.run_id

    async def stop(self) -> None:
        """Break off what is going on, for the server stops; what is done is done."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, namespace: str, run: Run, steps: Steps, rate: int) -> None:
        try:
            async for progress in self._progress(namespace, run, steps, rate):
                run = progress
        except RemoteWorkersError as error:
            run = run._replace(state="failed", error=error.message)
        except Exception as error:  # noqa: BLE001 - the edge: nothing may pass it unexplained
            _log.error("long action broke", title=run.title, exc_info=error)
            run = run._replace(state="failed", error="it broke on the server; its log says why")
        with suppress(RemoteWorkersError):  # then its page tells that nothing more was heard of it
            await self.book.write(namespace, run._replace(updated_ms=self._now()))

    async def _progress(self, namespace: str, run: Run, steps: Steps, rate: int) -> AsyncIterator[Run]:
        """Take the steps; yield how far the action has come after each, and how it ended."""
        began = asyncio.get_running_loop().time()
        async with aclosing(steps) as taken:  # type: ignore[type-var]  # every iterator here is a generator
            async for step in taken:
                run = run._replace(
                    updated_ms=self._now(),
                    done=run.done + step.done,
                    refused=run.refused + step.refused,
                    lines=(*run.lines, *step.lines)[:_LINES],
                )
                yield run
                if await self.book.write(namespace, run):
                    yield run._replace(state="stopped")
                    return
                if rate:
                    passed = asyncio.get_running_loop().time() - began
                    await asyncio.sleep(max(0.0, (run.done + run.refused) / rate - passed))
        yield run._replace(state="finished")

    def _now(self) -> int:
        return int(self._clock() * 1000)
