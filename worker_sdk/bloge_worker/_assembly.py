"""Puts a worker's parts together."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import inf
from random import Random

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._core import WorkerCore
from bloge_worker._dispatcher import Dispatcher, make_executors
from bloge_worker._executors import AsyncExecutor
from bloge_worker._lease_keeper import Inbox, LeaseKeeper
from bloge_worker._loop_watch import LoopWatch
from bloge_worker._processes import check_importable
from bloge_worker._run_log import log_end
from bloge_worker._runs import Ended, RunServices
from bloge_worker._tally import Tally
from bloge_worker._transport import GrpcTransport, Transport
from bloge_worker.config import WorkerConfig
from bloge_worker.errors import WorkerRefused
from bloge_worker.handlers import HandlerRegistry
from bloge_worker.stats import WorkerStats


class Engine:
    """A running worker as its owner's event loop sees it.

    Args:
        config: the settings.
        handlers: what to run; checked here.
        clock: monotonic seconds.
        transport: opens streams.
        on_ended: called when the worker has ended, on the lease keeper's thread.

    Raises:
        HandlerError: a handler for processes is not importable by its name.
    """

    def __init__(
        self,
        config: WorkerConfig,
        handlers: HandlerRegistry,
        clock: Callable[[], float],
        transport: Transport,
        on_ended: Callable[[], object],
    ) -> None:
        check_importable(handlers)
        self._config = replace(config, slots=handlers.capacity(config.slots))
        self._clock = clock
        self._tally = Tally(handlers)
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._loop_watch = LoopWatch(self._loop, clock)
        self._inbox = Inbox()
        self._core = WorkerCore(self._config, handlers.topic_limits(self._config.slots), Random())
        self._dispatcher = self._make_dispatcher(handlers)
        self._keeper = LeaseKeeper(
            core=self._core,
            dispatcher=self._dispatcher,
            transport=transport,
            inbox=self._inbox,
            loop_watch=self._loop_watch,
            clock=clock,
            on_connected=lambda: self._tell_loop(lambda: _settle(self._connected, None)),
            on_end=self._keeper_ended,
        )

    def start(self) -> None:
        """Start to work."""
        self._keeper.start()

    def adopt(self, lease: lease_pb2.Lease, claimed_at: float) -> None:
        """Take a lease that was claimed elsewhere."""
        core = self._core
        self._inbox.post(lambda _: core.holdings.adopted(lease, claimed_at, draining=core.is_draining))

    def drain(self, grace: float) -> None:
        """Begin to drain with a grace in seconds. Idempotent."""
        self._inbox.post(lambda now: self._core.drain(now, grace))

    def stop(self) -> None:
        """Stop all handlers and end."""
        self._inbox.post(self._core.stop)

    async def wait(self) -> None:
        """Return once the worker has ended. If this is cancelled, the worker is stopped first.

        Raises:
            WorkerRefused: the server refused the first session.
        """
        try:
            await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait([self._ended])
            raise

    async def connected(self) -> None:
        """Return once the first session is open.

        Raises:
            WorkerRefused: the server refused it.
        """
        await asyncio.wait([self._ended, self._connected], return_when=asyncio.FIRST_COMPLETED)
        if not self._connected.done():
            await asyncio.shield(self._ended)

    def healthy(self) -> bool:
        """Tell whether the worker runs and has heard from the server within the silence limit."""
        return not self._ended.done() and self._core.is_healthy(self._clock())

    def stats(self) -> WorkerStats:
        """Return the counters so far."""
        core, holdings = self._core, self._core.holdings
        heard_ago = self._clock() - core.heard_at
        return WorkerStats(
            slots=self._config.slots,
            held=len(holdings.leases),
            stopping=holdings.leases.stopping,
            done=holdings.done,
            failed=holdings.failed,
            unknown_operators=self._dispatcher.unknown_operators,
            accepted=holdings.reports.accepted,
            rejected=holdings.reports.rejected,
            unverdicted=len(holdings.reports),
            sessions=core.sessions_opened,
            connected=core.is_connected,
            draining=core.is_draining,
            heard_seconds_ago=None if heard_ago == inf else heard_ago,
            loop_lag=self._loop_watch.lag,
            verdicts=holdings.reports.verdicts.copy(),
            handlers=self._tally.handlers(),
        )

    def _make_dispatcher(self, handlers: HandlerRegistry) -> Dispatcher:
        core, inbox = self._core, self._inbox
        services = RunServices(
            clock=self._clock,
            send_progress=lambda held, details: inbox.post(lambda _: core.progressed(held, details)),
            max_payload_bytes=lambda: core.max_payload_bytes,
        )
        on_loop = AsyncExecutor(self._loop, services, self._runs_ended)
        return Dispatcher(
            handlers,
            make_executors(handlers, on_loop, self._config.slots, services, self._runs_ended),
            self._clock,
            lambda held, report: inbox.post(lambda now: core.finished(held, report, now)),
        )

    def _runs_ended(self, ended: list[Ended]) -> None:
        self._inbox.post(lambda now: self._take_ended(ended, now))

    def _take_ended(self, ended: list[Ended], now: float) -> None:
        for run, report in ended:
            self._dispatcher.forget(run)
            self._tally.ended(run.handler, report, None if run.began_at is None else now - run.began_at)
            log_end(run, report)
            self._core.finished(run.held, report, now)

    def _tell_loop(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(call)

    def _keeper_ended(self, error: Exception | None) -> None:
        self._on_ended()
        self._tell_loop(lambda: self._end(error))

    def _end(self, error: Exception | None) -> None:
        refusal = self._core.refusal
        if error is None and refusal is not None:
            error = WorkerRefused(refusal.code, refusal.message, self._config.address)
        _settle(self._ended, error)


def assemble(
    config: WorkerConfig, handlers: HandlerRegistry, clock: Callable[[], float], on_ended: Callable[[], object]
) -> Engine:
    """Return a worker's engine on the running event loop, speaking gRPC."""
    return Engine(config, handlers, clock, GrpcTransport(config), on_ended)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
