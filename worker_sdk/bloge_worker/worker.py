"""The worker: handlers, a life, and a view from outside."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._assembly import Engine, assemble
from bloge_worker._health import HealthServer
from bloge_worker._signals import drain_on_signals
from bloge_worker.config import Security, WorkerConfig, default_address, new_worker_id
from bloge_worker.errors import ConfigError, HandlerError, Seconds, WorkerClosed, to_seconds
from bloge_worker.handlers import Executor, HandlerRegistry, make_handler
from bloge_worker.stats import WorkerStats

Function = TypeVar("Function", bound=Callable[..., Any])


class Worker:
    """One process that runs work items.

    Register handlers, then call `run_forever`, or await `run`, or use it as `async with worker:`. It keeps one stream
    to the server, holds up to `slots` items under leases, keeps the leases alive from a thread of its own, and
    reconnects for ever: only a local stop ends it.

    Args:
        address: `host:port` or `unix:/path`; None: the environment's `BLOGE_ADDRESS`, else 127.0.0.1:7070.
        slots: how many items it holds at once, up to 10,000; 0: only those that it is given by `adopt`.
        namespace: whose work items it runs.
        worker_id: unique for each life of a process; None: made from host name, process id and a random part.
        lease_duration: lease wanted, 1 s to 1 h; None: the server's default.
        drain_grace: how long held items may still run once a drain begins, 0.1 s to a day; what has not ended by then
            is handed back at no cost.
        security: TLS, certificate and token; None: plaintext, for loopback and unix sockets.
        health_port: serves `/livez`, `/readyz` and `/metrics` while the worker runs; 0: any free port; None: nothing.
        health_host: address that this page listens on; `0.0.0.0` for the probes of a container platform.
        clock: monotonic seconds; for tests.

    Raises:
        ConfigError: names each argument that is out of range.
    """

    def __init__(  # noqa: PLR0913 - the front door names its settings, so that editors and type checkers know them
        self,
        address: str | None = None,
        *,
        slots: int = 8,
        namespace: str = "default",
        worker_id: str | None = None,
        lease_duration: Seconds | None = None,
        drain_grace: Seconds = 30.0,
        security: Security | None = None,
        health_port: int | None = None,
        health_host: str = "127.0.0.1",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = WorkerConfig(
            address=address or default_address(),
            slots=slots,
            namespace=namespace,
            worker_id=worker_id or new_worker_id(),
            lease_duration=None if lease_duration is None else to_seconds(lease_duration),
            drain_grace=to_seconds(drain_grace),
            security=security,
            health_port=health_port,
            health_host=health_host,
        )
        self._config.check()
        self._clock = clock
        self._handlers = HandlerRegistry()
        self._engine: Engine | None = None
        self._health: HealthServer | None = None

    def __repr__(self) -> str:
        config = self._config
        state = "idle" if self._engine is None else repr(self.stats())
        return f"<Worker {config.worker_id} at {config.address} topics={self.worker_topics} {state}>"

    @property
    def config(self) -> WorkerConfig:
        """The settings."""
        return self._config

    @property
    def worker_topics(self) -> list[str]:
        """The topics that have handlers, sorted."""
        return self._handlers.topics()

    @property
    def handlers(self) -> HandlerRegistry:
        """The registered handlers."""
        return self._handlers

    def reconfigure(self, **changes: Any) -> None:  # noqa: ANN401 - fields of WorkerConfig, checked below
        """Change settings before the worker runs.

        Args:
            changes: fields of `WorkerConfig`.

        Raises:
            ConfigError: a setting is out of range.
            WorkerClosed: the worker runs or has run.
        """
        if self._engine is not None:
            raise WorkerClosed("settings are fixed once the worker runs")
        config = replace(self._config, **changes)
        config.check()
        self._config = config

    def handler(
        self,
        worker_topic: str,
        *,
        operator: str | None = None,
        executor: Executor | None = None,
        concurrency: int | None = None,
        raw: bool = False,
    ) -> Callable[[Function], Function]:
        """Register the decorated function for a topic.

        The function takes the input (its decoded JSON, made into the type that its parameter is annotated with) and, as
        a parameter named `ctx` or annotated `WorkContext`, the context; either may be left out. It returns a JSON-able
        output, or raises `RetryLater`, `Reject`, `BusinessError` or `Release`; any other exception is a failure that is
        retried within the node's budget.

        Args:
            worker_topic: the topic to serve.
            operator: the business operator; None: any operator of the topic that has no handler of its own.
            executor: `async` (for `async def`), `thread` (default for `def`), or `process`: a child process that is
                killed when the lease is lost, for native code that holds the interpreter lock and for `def` that must
                be stoppable. The function must then be importable by its name.
            concurrency: how many items it runs at once; None: as many as there are slots, for processes as many as
                there are processors. Items over the limit wait, under their lease, in a slot; where every handler of a
                topic has a limit, the worker asks for no more items of the topic than these sum up to.
            raw: the input is the payload's bytes as enqueued, and returned bytes are the output as they are.

        Raises:
            ConfigError: the topic's name is malformed.
            HandlerError: the function cannot be a handler, or the operator has one.
        """

        def register(function: Function) -> Function:
            self._handlers.add(
                make_handler(
                    function, worker_topic, operator=operator, executor=executor, concurrency=concurrency, raw=raw
                )
            )
            return function

        return register

    def run_forever(self) -> None:
        """Run until SIGTERM or SIGINT, then drain; a second signal stops at once. Blocks; needs no event loop.

        Raises:
            ConfigError: it has no slots.
            As `run`.
        """
        if not self._config.slots:
            raise ConfigError("slots: 0; at least 1 for a worker that lives on what it is offered")
        asyncio.run(self.run())

    async def run(self) -> None:
        """Run until `drain` is called or SIGTERM or SIGINT arrives; a second signal stops at once.

        The signals are handled while this runs on the main thread's event loop.

        Raises:
            HandlerError: there is no handler, or one for processes is not importable by its name.
            WorkerRefused: the server refused the first session for good, for example for a missing permission.
            WorkerClosed: the worker has run before.
        """
        # Before the worker starts: a signal in between would end the process with leases in its hands.
        with drain_on_signals(first=self._begin_drain, then=self._stop):
            await self._start().wait()

    async def drain(self) -> None:
        """Take no new work, let held items finish within the grace, hand back the rest, and end. Idempotent."""
        self._begin_drain()
        if self._engine is not None:
            await self._engine.wait()

    def adopt(self, lease: lease_pb2.Lease, claimed_at: float) -> None:
        """Run an item that was claimed by a call of one's own, as if it had been offered.

        It occupies a slot, but waits for none. The worker keeps the lease alive and reports how the handler ended. The
        claim must have named this worker's id.

        Args:
            lease: the lease, of one of this worker's topics.
            claimed_at: when the claiming call was sent, by the worker's clock (`time.monotonic`).

        Raises:
            WorkerClosed: the worker does not run.
        """
        if self._engine is None:
            raise WorkerClosed("the worker does not run; start it first")
        self._engine.adopt(lease, claimed_at)

    async def connected(self) -> None:
        """Return once the server has welcomed the worker.

        Raises:
            WorkerClosed: the worker does not run.
            WorkerRefused: the server refused it.
        """
        if self._engine is None:
            raise WorkerClosed("the worker does not run; start it first")
        await self._engine.connected()

    async def __aenter__(self) -> Self:
        """Start in the background; signals are left to the program."""
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drain."""
        await self.drain()

    @property
    def healthy(self) -> bool:
        """True while the worker runs and has heard from the server lately: within the silence limit, 30 s by default.

        It stays true over a short loss of the connection, and through a drain.
        """
        return self._engine is not None and self._engine.healthy()

    @property
    def health_port(self) -> int | None:
        """The port of the page for probes and metrics, once the worker runs with one."""
        return None if self._health is None else self._health.port

    def stats(self) -> WorkerStats:
        """Return the counters so far."""
        if self._engine is None:
            return WorkerStats()
        return self._engine.stats()

    def _start(self) -> Engine:
        if self._engine is not None:
            raise WorkerClosed
        if not self._handlers.topics():
            raise HandlerError("no handler is registered; decorate a function with @worker.handler(topic)")
        self._engine = assemble(self._config, self._handlers, self._clock, self._close_health)
        if self._config.health_port is not None:
            try:
                self._health = HealthServer(self, self._config.health_host, self._config.health_port)
            except ConfigError:
                self._engine = None
                raise
        self._engine.start()
        return self._engine

    def _close_health(self) -> None:
        if self._health is not None:
            self._health.close()

    def _stop(self) -> None:
        if self._engine is not None:
            self._engine.stop()

    def _begin_drain(self) -> None:
        if self._engine is not None:
            self._engine.drain(self._config.drain_grace)
