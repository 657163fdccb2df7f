"""Carries out the plan: injects each fault, heals it, and notes what it saw it do."""

import asyncio
import signal
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from chaos.history import Recorder
from chaos.plan import Fault, Kind
from chaos.processes import Supervised
from support.proxy import Proxy

_DELAY_SECONDS = 0.15
_AFTER_FLUSH_SECONDS = 0.4


class Nemesis:
    """Everything that can go wrong in a run.

    Args:
        processes: by name, as plans name them.
        links: the proxy before each server, by the server's name.
        store_links: the proxy between each server and the store, by the server's name.
        store_port: of the store itself.
        recorder: the history.
    """

    def __init__(
        self,
        processes: Mapping[str, Supervised],
        links: Mapping[str, Proxy],
        store_links: Mapping[str, Proxy],
        store_port: int,
        recorder: Recorder,
    ) -> None:
        self._processes = processes
        self._links = links
        self._store_links = store_links
        self._store_port = store_port
        self._recorder = recorder
        self.injected = 0

    async def run(self, faults: list[Fault]) -> None:
        """Inject every fault at its time, and return when all are healed."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at - asyncio.get_running_loop().time()))
                group.create_task(self._inject(fault))

    async def _inject(self, fault: Fault) -> None:
        start = asyncio.get_running_loop().time()
        saw = await self._do(fault)
        self.injected += 1
        request = {"kind": fault.kind.value, "target": fault.target, "life": 0, "planned_at": fault.at}
        if fault.target in self._processes:
            request["life"] = self._processes[fault.target].life
        self._recorder.event("fault", request, start=start, **saw)

    async def _do(self, fault: Fault) -> dict[str, Any]:
        kind, target = fault.kind, fault.target
        if kind in {Kind.KILL_SERVER, Kind.KILL_WORKER, Kind.KILL_STORE}:
            return {"signalled": self._processes[target].send(signal.SIGKILL)}
        if kind is Kind.STOP_SERVER:
            return {"signalled": self._processes[target].send(signal.SIGTERM)}
        if kind in {Kind.PAUSE_SERVER, Kind.PAUSE_WORKER, Kind.PAUSE_STORE}:
            return await self._pause(self._processes[target], fault.seconds)
        if kind is Kind.SCRIPT_FLUSH:
            return await self._flush_scripts()
        links = self._store_links if kind in _ON_STORE_LINK else self._links
        return await _HARM[kind](links[target], fault.seconds)

    @staticmethod
    async def _pause(process: Supervised, seconds: float) -> dict[str, Any]:
        life = process.life
        stopped = process.send(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        # Continue what was stopped; a process that was killed and started again meanwhile is not harmed by it.
        return {"signalled": stopped and process.send(signal.SIGCONT) and process.life == life}

    async def _flush_scripts(self) -> dict[str, Any]:
        """Flush, and count the calls that found their script gone."""
        async with Redis(port=self._store_port, socket_timeout=2) as client:
            try:
                before = await _missing_scripts(client)
                await client.script_flush()
                await asyncio.sleep(_AFTER_FLUSH_SECONDS)
                return {"missing_scripts": await _missing_scripts(client) - before}
            except (RedisError, OSError) as error:
                return {"missing_scripts": 0, "failed": str(error)}


async def _missing_scripts(client: "Redis") -> int:
    errors = await client.info("errorstats")
    return int(errors.get("errorstat_NOSCRIPT", {}).get("count", 0))


async def _cut(proxy: Proxy, seconds: float) -> dict[str, Any]:
    before, proxy.refusing = proxy.severed, True
    proxy.sever()
    await asyncio.sleep(seconds)
    proxy.refusing = False
    return {"severed": proxy.severed - before}


async def _delay(proxy: Proxy, seconds: float) -> dict[str, Any]:
    before = proxy.delayed
    proxy.slow_down(_DELAY_SECONDS)
    await asyncio.sleep(seconds)
    proxy.slow_down(0.0)
    return {"delayed": proxy.delayed - before}


async def _half_open(proxy: Proxy, seconds: float) -> dict[str, Any]:
    before = proxy.swallowed
    proxy.swallow()
    await asyncio.sleep(seconds)
    proxy.swallow(swallowing=False)
    proxy.sever_damaged()
    return {"swallowed": proxy.swallowed - before}


_ON_STORE_LINK = {Kind.CUT_STORE_LINK, Kind.HALF_OPEN_STORE_LINK}
_HARM = {
    Kind.CUT_LINK: _cut,
    Kind.CUT_STORE_LINK: _cut,
    Kind.DELAY_LINK: _delay,
    Kind.HALF_OPEN_LINK: _half_open,
    Kind.HALF_OPEN_STORE_LINK: _half_open,
}
