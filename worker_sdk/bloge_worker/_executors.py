"""Where handlers run: the user's event loop, and threads."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from bloge_worker._runs import Ended, OnEnded, Run, RunServices
from bloge_worker.handlers import Handler
from bloge_worker.outcomes import Report, report_release


class RunExecutor(Protocol):
    """Starts and stops runs. Called from the lease keeper's thread; no method blocks."""

    def start(self, runs: list[Run]) -> None:
        """Start runs, or have them wait for their turn."""

    def cancel(self, run: Run) -> None:
        """Make a run stop whose cancellation has just been set."""

    def hand_back(self) -> None:
        """End the runs that wait for their turn, unstarted."""

    def close(self) -> None:
        """Free what the executor holds."""


class AsyncExecutor:
    """Runs `async` handlers on one event loop.

    A batch of runs crosses to the loop in one call, and what ends within one turn of the loop crosses back in one.

    Args:
        loop: the user's event loop.
        services: what every run needs.
        on_ended: takes the runs that have ended.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, services: RunServices, on_ended: OnEnded) -> None:
        self._loop = loop
        self._services = services
        self._on_ended = on_ended
        # Everything below belongs to the loop's thread.
        self._running: dict[Handler, int] = {}
        self._waiting: dict[Handler, deque[Run]] = {}
        self._ended: list[Ended] = []

    def start(self, runs: list[Run]) -> None:
        """Start runs, or have them wait for their turn."""
        self._loop.call_soon_threadsafe(self._start_all, runs)

    def cancel(self, run: Run) -> None:
        """Cancel the handler's task."""
        self._loop.call_soon_threadsafe(self._cancel, run)

    def hand_back(self) -> None:
        """End the runs that wait for their turn, unstarted."""
        self._loop.call_soon_threadsafe(self._end_waiting)

    def close(self) -> None:
        """Nothing to free: the loop is the user's."""

    def _start_all(self, runs: list[Run]) -> None:
        for run in runs:
            limit = run.handler.concurrency
            if limit is None:
                self._begin(run)
            elif self._running.get(run.handler, 0) < limit:
                self._running[run.handler] = self._running.get(run.handler, 0) + 1
                self._begin(run)
            else:
                self._waiting.setdefault(run.handler, deque()).append(run)

    def _begin(self, run: Run) -> None:
        run.task = self._loop.create_task(self._execute(run))

    async def _execute(self, run: Run) -> None:
        run.has_begun = True
        report = None if run.cancellation.reason is not None else await run.execute(self._services)
        self._end(run, report)
        if run.handler.concurrency is not None:
            self._pass_turn(run.handler)

    def _pass_turn(self, handler: Handler) -> None:
        waiting = self._waiting.get(handler)
        if waiting:
            self._begin(waiting.popleft())
        else:
            self._running[handler] -= 1

    def _end(self, run: Run, report: Report | None) -> None:
        if not self._ended:
            self._loop.call_soon(self._flush)
        self._ended.append((run, report))

    def _flush(self) -> None:
        ended, self._ended = self._ended, []
        self._on_ended(ended)

    def _cancel(self, run: Run) -> None:
        if run.task is None:
            with suppress(ValueError):  # it was handed back in the same moment
                self._waiting[run.handler].remove(run)
                self._end(run, None)
        elif run.has_begun:
            run.task.cancel(run.cancellation.reason)

    def _end_waiting(self) -> None:
        for waiting in self._waiting.values():
            while waiting:
                run = waiting.popleft()
                self._end(run, unstarted(run))


class ThreadExecutor:
    """Runs handlers in daemon threads, which never keep a process from ending.

    Args:
        size: the most threads.
        execute: runs one handler to its end.
        on_ended: takes the runs that have ended.
    """

    def __init__(self, size: int, execute: Callable[[Run], Report | None], on_ended: OnEnded) -> None:
        self._size = size
        self._execute = execute
        self._on_ended = on_ended
        self._waiting: SimpleQueue[Run | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._threads = 0

    def start(self, runs: list[Run]) -> None:
        """Start runs, or have them wait for a thread."""
        with self._lock:
            self._unfinished += len(runs)
            missing = min(self._unfinished, self._size) - self._threads
        for _ in range(missing):
            self._threads += 1
            threading.Thread(target=self._work, name="bloge-handler", daemon=True).start()
        for run in runs:
            self._waiting.put(run)

    def cancel(self, run: Run) -> None:
        """Nothing to do: a thread cannot be stopped, and the run knows."""

    def hand_back(self) -> None:
        """End the runs that wait for a thread, unstarted."""
        ended: list[Ended] = []
        while True:
            try:
                run = self._waiting.get_nowait()
            except Empty:
                break
            if run is not None:
                ended.append((run, unstarted(run)))
        with self._lock:
            self._unfinished -= len(ended)
        self._on_ended(ended)

    def close(self) -> None:
        """Let the threads end once they are free."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (run := self._waiting.get()) is not None:
            report = self._execute(run)
            with self._lock:
                self._unfinished -= 1
            self._on_ended([(run, report)])


def unstarted(run: Run) -> Report:
    """Hand back a run that has not started."""
    return report_release(run.held.token, 0.0, "not started when the worker began to leave", draining=True)
