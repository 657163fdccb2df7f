"""The one place where the server's parts meet."""

import asyncio
import signal
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, cast

import structlog

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.config import Settings
from bloge_server.dispatch.claims import ClaimPump
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.work_item import TopicLimits
from bloge_server.http import app as http_app
from bloge_server.http import health, journal, metrics
from bloge_server.http.console import routes as console
from bloge_server.http.console.calls import Calls as ConsoleCalls
from bloge_server.http.console.executions import ExecutionCalls
from bloge_server.http.console.runs import Runs
from bloge_server.http.gateway import routes as gateway
from bloge_server.http.gateway.calls import Calls
from bloge_server.http.server import OFF, HttpServer
from bloge_server.rpc import server as rpc_server
from bloge_server.rpc.boundary import InProcess
from bloge_server.rpc.execution_service import ExecutionService
from bloge_server.rpc.ops_service import OpsService
from bloge_server.rpc.work_item_service import WorkItemService
from bloge_server.rpc.work_stream import StreamSettings
from bloge_server.rpc.worker_service import WorkerService
from bloge_server.services.cancels import CancelWatch
from bloge_server.services.depths import Depths
from bloge_server.services.event_feed import EventFeed
from bloge_server.services.executions import Executions
from bloge_server.services.heralds import Herald, Heralds
from bloge_server.services.journaling import Journaling
from bloge_server.services.outcomes import Outcomes
from bloge_server.services.presence import Presence
from bloge_server.services.readiness import Readiness
from bloge_server.services.sweeper import FALLBACK_SECONDS, Sweeper
from bloge_server.services.throughput import Throughput
from bloge_server.store import connection, embedded, throughput
from bloge_server.store.durability import Replicas
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.runs import RunBook
from bloge_server.store.wakeups import WakeListener
from bloge_server.store.workers import WorkerList
from bloge_server.telemetry import loop_lag
from bloge_server.telemetry.logs import Logs
from bloge_server.telemetry.metrics import Metrics
from bloge_server.telemetry.probe import Probes

_CANCEL_AGAIN_SECONDS = 0.2

_log = structlog.get_logger(__name__)


class App:
    """A control plane on a connected store."""

    def __init__(self, settings: Settings, client: connection.Client) -> None:
        self._settings = settings
        release = version("bloge-server")
        self._metrics = Metrics(settings.metrics_topics, release)
        self._throughput = Throughput()
        self._probe = Probes(self._metrics, Logs(), self._throughput)
        self.store = RedisStore(
            client,
            probe=self._probe,
            replicas=Replicas(settings.wait_replicas, max(1, int(settings.wait_timeout_seconds * 1000))),
            retention_ms=int(settings.retention_seconds * 1000),
            journal_events=settings.journal_events,
            limits=TopicLimits(settings.backlog_limit, settings.dead_letter_limit, settings.dead_letter_policy.upper()),
        )
        self._heralds = Heralds()
        self._listener = WakeListener(client, self._heralds.tell, self._hear)
        self._heard: set[Topic] = set()
        """Topics that were listened to before."""
        self._unneeded: set[Topic] = set()
        """Topics that held nothing, and of which nobody here wanted anything, at the last look."""
        self._outcomes = Outcomes(self.store)
        executions = Executions(self.store, self._outcomes)
        self._journaling = Journaling(self.store, executions, self._know)
        self._sweeper = Sweeper(executions.sweep, self.store.together, probe=self._probe)
        self._pump = ClaimPump(self.store, self._know)
        stream_settings = StreamSettings(
            lease_ms=int(settings.lease_seconds * 1000),
            offer_lease_ms=int(settings.offer_lease_seconds * 1000),
            ping_ms=int(settings.ping_seconds * 1000),
            silence_ms=int(settings.silence_seconds * 1000),
            max_payload_bytes=settings.max_payload_bytes,
            server_version=release,
        )
        self._presence = Presence(WorkerList(self.store))
        self._workers = WorkerService(self.store, self._pump, self._presence, stream_settings)
        self._cancels = CancelWatch(self._probe)
        work_items = WorkItemService(self.store, self._outcomes, self._cancels, self._know, settings.max_payload_bytes)
        feed = EventFeed(self.store, keeps_any=settings.journal_events > 0)
        operations = OpsService(self.store, settings.max_payload_bytes, feed)
        graphs = ExecutionService(
            executions,
            self._journaling,
            self._know,
            lease_ms=stream_settings.lease_ms,
            max_payload_bytes=settings.max_payload_bytes,
        )
        self._server, self._health = rpc_server.build(
            self._workers, work_items, graphs, operations, shared_port=settings.processes > 1
        )
        self._runs = Runs(RunBook(self.store))
        self._readiness = Readiness(self.store.calls.ping)
        calls = InProcess(self._workers, work_items, operations)
        sources = console.Sources(
            cast("ConsoleCalls", calls),
            cast("ExecutionCalls", InProcess(graphs)),
            feed,
            partial(throughput.read, self.store),
            self._runs,
        )
        self._http = self._build_http(cast("Calls", calls), sources, release) if settings.http_listen != OFF else None
        self._wire()

    def _build_http(self, calls: Calls, sources: console.Sources, release: str) -> HttpServer:
        hosts = http_app.known_hosts(self._settings.http_listen, self._settings.http_hosts)
        depths = Depths(self.store, self._metrics, lambda: self._sweeper.topics, lambda: self._workers.sessions.present)
        routes = [
            *health.routes(self._readiness),
            *metrics.routes(self._metrics, depths),
            *gateway.routes(calls, release),
            *journal.routes(sources.feed),
            *console.routes(sources, release),
        ]
        return HttpServer(http_app.build(routes, hosts))

    def _wire(self) -> None:
        heralds, sessions = self._heralds, self._workers.sessions
        heralds.on(Herald.READY, self._pump.wake)
        heralds.on(Herald.DUE, lambda topic, delay: self._sweeper.schedule(topic, int(delay)))
        heralds.on(Herald.OUTCOME, self._outcomes.heralded)
        self.store.handover.watchers = self._outcomes
        heralds.on(Herald.DONE, self._outcomes.done)
        heralds.on(Herald.STOP, sessions.stop_handler)
        heralds.on(Herald.STOP, self._cancels.heard)
        heralds.on(Herald.CANCEL, sessions.ask_to_cancel)
        heralds.on(Herald.JOURNAL, self._journaling.heralded)
        heralds.on(Herald.SESSION, sessions.opened_elsewhere)
        heralds.on(Herald.LEAVE, self._presence.heralded)
        self._presence.watch(sessions.cards, sessions.tell_to_leave)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until told to stop, or until a part breaks.

        Raises:
            StartupError: a port cannot be opened.
            Exception: what broke. Whoever supervises the server starts another.
        """
        settings = self._settings
        address = rpc_server.listen(self._server, settings.listen, insecure=settings.insecure)
        http_address = self._http.listen(settings.http_listen, insecure=settings.insecure) if self._http else OFF
        await self._learn_topics()
        loops = (self._listener.run(), self._sweeper.run(), self._presence.run(), self._fall_back())
        watches = (loop_lag.watch(self._probe), self._throughput.run(self.store))
        background = [asyncio.create_task(part) for part in (*loops, *watches)]
        await self._begin()
        _log.info("serving", address=address, http_address=http_address)
        try:
            broken = await stopped_or_broken(stop, background)
            if broken is not None:
                _log.critical("a part of the server broke", exc_info=broken)
            _log.info("stopping")
            await self._leave()
        finally:
            await end_all(background)
        if broken is not None:
            raise broken

    async def _begin(self) -> None:
        await self._server.start()
        await rpc_server.set_serving(self._health)
        self._readiness.begin()
        if self._http is not None:
            self._http.start()

    async def _leave(self) -> None:
        """Say so first, let sessions report what they hold, and answer HTTP to the end."""
        self._readiness.end()
        await self._health.enter_graceful_shutdown()
        await self._workers.drain(self._settings.drain_seconds)
        await self._server.stop(grace=1.0)
        await self._pump.settle()
        await self._runs.stop()
        if self._http is not None:
            await self._http.stop()

    def _know(self, topics: Iterable[Topic]) -> None:
        """Take care of topics from now on: sweep them and hear their wake-ups."""
        self._listener.watch([topic for topic in topics if self._sweeper.know(topic)])

    def _hear(self, topic: Topic) -> None:
        """Look at a topic that is heard from now on, or again: what was heralded before was not."""
        self._pump.wake(topic)
        (self._outcomes.read_anew if topic in self._heard else self._outcomes.look_again)(topic)
        self._heard.add(topic)
        self._sweeper.schedule(topic, 0)

    async def _learn_topics(self) -> None:
        try:
            listed = await self.store.all_topics()
        except RemoteWorkersError as error:
            _log.warning("topics cannot be read", error=str(error))
            return
        self._know(listed)
        unneeded = self._sweeper.topics.difference(listed, self._pump.topics, self._outcomes.topics)
        # Twice in a row: a topic is taken care of a moment before its first item lists it.
        self._forget(unneeded & self._unneeded)
        self._unneeded = unneeded

    def _forget(self, topics: Collection[Topic]) -> None:
        """Take no more care of topics that hold nothing and that nobody here wants anything of."""
        for topic in topics:
            self._sweeper.forget(topic)
        self._heard.difference_update(topics)
        self._listener.forget(topics)

    async def _fall_back(self) -> None:
        """Look again at an interval for what a lost wake-up would have told: the only polling there is."""
        while True:
            await asyncio.sleep(FALLBACK_SECONDS)
            await self._learn_topics()
            self._pump.wake_all()


async def stopped_or_broken(stop: asyncio.Event, parts: Iterable["asyncio.Task[Any]"]) -> BaseException | None:
    """Return once told to stop, or what ended a part before: a server that hears nothing must not look alive."""
    told = asyncio.create_task(stop.wait())
    ended, _ = await asyncio.wait({told, *parts}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    return next((part.exception() for part in ended if part is not told), None)


async def end_all(parts: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until they have ended: on Python 3.11 a call to the store may swallow a cancellation."""
    parts = set(parts)
    pending = parts
    while pending:
        for part in pending:
            part.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*parts, return_exceptions=True)


@asynccontextmanager
async def store_of(settings: Settings) -> AsyncIterator[str]:
    """Yield the address of the store: the one that is set, or an embedded one that runs meanwhile.

    Raises:
        StartupError: the embedded store cannot start.
    """
    if settings.redis_url:
        yield settings.redis_url
        return
    store = await asyncio.to_thread(embedded.start, settings.data_dir, appendfsync=settings.appendfsync)
    keeper = asyncio.create_task(store.keep())
    try:
        yield f"unix://{store.socket}"
    finally:
        await end_all([keeper])
        await asyncio.to_thread(store.stop)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run a server until told to stop.

    Raises:
        StartupError: it cannot start.
    """
    async with store_of(settings) as url, connection.connected(url, settings.store_timeout_seconds) as client:
        await App(settings, client).serve(stop)
    _log.info("stopped")


def told_to_stop() -> asyncio.Event:
    """Return what SIGTERM and SIGINT set from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
