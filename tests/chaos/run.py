"""One run: start everything, let it go wrong, let it settle, read the end, judge."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from chaos import plan
from chaos.calls import Servers
from chaos.enqueuer import Enqueuer
from chaos.history import Call, Recorder, merge
from chaos.items import ItemSource
from chaos.layout import SERVERS, WORKERS
from chaos.nemesis import Nemesis
from chaos.processes import Supervised, free_port, is_answering, server_command, store_command
from chaos.reader import read_final, read_rest
from chaos.watcher import Watcher, replay_for_ever
from chaos.worker import command as worker_command
from support.proxy import Proxy

_START_SECONDS = 20.0
_SETTLE_SECONDS = 45.0
_PROGRESS_SECONDS = 5.0
_TICK_SECONDS = 0.05
_STALL_SECONDS = 0.1
_STORE_AWAY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked to do."""

    seed: int
    duration: float
    """Seconds in which items are enqueued and faults injected."""
    rate: float
    """Items a second."""
    slots: int
    """Items that each worker holds at once."""
    folder: Path
    """Where data, logs and histories go; empty."""


class Run:
    """Everything that is started, and the history of it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._store_port = free_port()
        self._recorders: list[Recorder] = []
        self._recorder = self._record("harness")
        self._processes: dict[str, Supervised] = {}
        self._links: dict[str, Proxy] = {}
        self._store_links: dict[str, Proxy] = {}
        self._faults = plan.make(options.seed, options.duration)

    async def run(self) -> list[Call]:
        """Run, and return the history."""
        async with self._started():
            addresses = [link.address for link in self._links.values()]
            await self._wait_until_serving(addresses)
            enqueuer = Enqueuer(Servers(addresses), ItemSource(self._options.seed), self._record("enqueuer"))
            watcher = Watcher(Servers(addresses, 1), self._record("watcher"))
            nemesis = Nemesis(
                self._processes, self._links, self._store_links, self._store_port, self._record("nemesis")
            )
            background = [
                asyncio.create_task(watcher.run()),
                asyncio.create_task(replay_for_ever(Servers(addresses), self._record("operator"))),
                asyncio.create_task(self._tell_progress(enqueuer, watcher, nemesis)),
                asyncio.create_task(self._notice_stalls()),
                asyncio.create_task(self._notice_store()),
            ]
            self._note_clock()
            async with asyncio.TaskGroup() as group:
                group.create_task(enqueuer.run(self._options.rate, self._options.duration))
                group.create_task(nemesis.run(self._faults))
            await self._settle(enqueuer, watcher)
            # Nothing moves while the end is read, also when the run has not settled.
            await self._stop(*WORKERS)
            await read_rest(self._store_port, self._recorder)
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await read_final(Servers(addresses), enqueuer.acknowledged, self._record("reader"))
            self._note_clock()
        for recorder in self._recorders:
            recorder.close()
        return merge(self._options.folder / "calls")

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[None]:
        try:
            await self._start()
            yield
        finally:
            # Workers first, so that nobody is missed by somebody who is still there.
            await self._stop(*WORKERS)
            await self._stop(*SERVERS)
            await self._stop("store")
            for proxy in (*self._links.values(), *self._store_links.values()):
                await proxy.stop()

    async def _stop(self, *names: str) -> None:
        await asyncio.gather(*(self._processes[name].stop() for name in names if name in self._processes))

    async def _start(self) -> None:
        folder = self._options.folder
        (folder / "store").mkdir()
        self._supervise("store", store_command(folder / "store", self._store_port))
        for name in SERVERS:
            port = free_port()
            self._store_links[name] = store_link = Proxy(("127.0.0.1", self._store_port))
            self._links[name] = link = Proxy(("127.0.0.1", port))
            await store_link.start()
            await link.start()
            self._supervise(name, server_command(port, store_link.address))
        addresses = [link.address for link in self._links.values()]
        for name in WORKERS:
            self._supervise(name, worker_command(name, self._options.slots, folder / "calls", addresses))

    def _supervise(self, name: str, command: Sequence[str]) -> None:
        log = self._options.folder / f"{name}.log"
        self._processes[name] = Supervised(name, command, log, self._recorder)
        self._processes[name].start()

    async def _wait_until_serving(self, addresses: list[str]) -> None:
        for address in addresses:
            servers = Servers([address])
            async with asyncio.timeout(_START_SECONDS):
                await servers.channel.channel_ready()
            await servers.close()

    def _record(self, name: str) -> Recorder:
        folder = self._options.folder / "calls"
        folder.mkdir(exist_ok=True)
        self._recorders.append(Recorder(folder / f"{name}.jsonl"))
        return self._recorders[-1]

    def _note_clock(self) -> None:
        """Note by how much the store's clock is ahead of the monotonic one: both are this machine's."""
        offset = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
        self._recorder.event("clock", {"offset": offset})

    async def _notice_stalls(self) -> None:
        """Note when the machine was too busy to run a process in time: nobody can keep a promise about time then."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.monotonic()
            if now - last - _TICK_SECONDS > _STALL_SECONDS:
                self._recorder.event("stall", start=last)
            last = now

    async def _notice_store(self) -> None:
        """Note when the store answered nobody: dead, standing still, or reading its file after a start."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            began = time.monotonic()
            if await is_answering(self._store_port):
                if began - last > _STORE_AWAY_SECONDS:
                    self._recorder.event("store_away", start=last)
                last = time.monotonic()

    async def _settle(self, enqueuer: Enqueuer, watcher: Watcher) -> None:
        """Wait until every acknowledged item has ended, or for too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while enqueuer.acknowledged.keys() - watcher.ended:
                    watcher.changed.clear()
                    await watcher.changed.wait()

    async def _tell_progress(self, enqueuer: Enqueuer, watcher: Watcher, nemesis: Nemesis) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            lives = Counter({name: process.life for name, process in self._processes.items()})
            print(
                f"{time.monotonic() - began:5.0f} s: {len(enqueuer.acknowledged)} enqueued, {len(watcher.ended)} ended,"
                f" {nemesis.injected} faults, {lives.total() - len(lives)} restarts",
                flush=True,
            )
