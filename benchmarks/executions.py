"""`make bench-executions`: what durable executions cost an orchestrator process.

Starts EXECUTIONS executions, each of which waits for a worker, and has one orchestrator process own them all: how
long until all wait, what each adds to the process's memory, and what keeping their leases takes. Then a worker comes:
how long until all have ended. Last, one execution with a foreach over ITEMS remote items. Server, store, orchestrator
and worker share the machine.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.processes import Server, cpu_seconds, resident_bytes, stop
from bloge_orchestrator import CompiledGraph, ExecutionStatus, OperatorRegistry, Orchestrator, compile_source
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.serving import DEFAULT_TOPIC
from bloge_worker import Worker

NAMESPACE, TOPIC = "default", "far"
STARTS_AT_ONCE = 50
WARM_UP = 20
SETTLE_SECONDS = 3.0
WORKER_SLOTS = 200
FAR = f'node far : Far {{ input {{ value = VALUE }} execution_mode = remote worker_topic = "{TOPIC}" timeout = 1h }}'
_PATIENCE = 600
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Suspended:
    """What executions cost that wait at once in one process."""

    benchmark: str
    executions: int
    start_seconds: float
    """From the first start until every node's item was ready."""
    bytes_each: int
    """Of the orchestrator's memory in RAM."""
    cpu_percent: float
    """Of one core, of the orchestrator, while all wait."""
    resume_seconds: float
    """From the worker's arrival until every execution had ended."""


@dataclass(frozen=True, slots=True)
class Foreach:
    """What one large foreach takes."""

    benchmark: str
    items: int
    seconds: float
    items_per_second: float
    orchestrator_cpu_seconds: float


class Bench:
    """A control plane, an orchestrator process, and a client of both.

    Args:
        client: starts executions.
        control_plane: tells how many items there are.
        pid: of the orchestrator process.
        address: of the server.
    """

    def __init__(self, client: Orchestrator, control_plane: ControlPlane, pid: int, address: str) -> None:
        self._client = client
        self._control_plane = control_plane
        self._pid = pid
        self._address = address

    async def suspended(self, executions: int, seconds: float) -> Suspended:
        """Have executions wait at once, and then end."""
        graph = _graph(FAR.replace("VALUE", "ctx.number"))
        async with self._worker():
            await self._start(graph, WARM_UP)
            await self._all_ended()
        before = resident_bytes(self._pid)
        begun = time.monotonic()
        await self._start(graph, executions)
        await _until(lambda: self._is_ready(executions))
        start_seconds = time.monotonic() - begun
        await asyncio.sleep(SETTLE_SECONDS)
        used = resident_bytes(self._pid) - before
        cpu = cpu_seconds(self._pid)
        await asyncio.sleep(seconds)
        percent = 100 * (cpu_seconds(self._pid) - cpu) / seconds
        begun = time.monotonic()
        async with self._worker():
            await self._all_ended()
            resume_seconds = time.monotonic() - begun
        return Suspended(
            "executions suspended",
            executions,
            round(start_seconds, 2),
            used // executions,
            round(percent, 1),
            round(resume_seconds, 2),
        )

    async def foreach(self, items: int) -> Foreach:
        """Run one execution with many items."""
        body = FAR.replace("VALUE", "item")
        graph = _graph(f"foreach each : item in ctx.items {{ max_concurrency = 1000 {body} }}")
        async with self._worker():
            cpu, begun = cpu_seconds(self._pid), time.monotonic()
            handle = await self._client.start(graph, {"items": list(range(items))})
            result = await handle.result()
            seconds = time.monotonic() - begun
        if result.status is not ExecutionStatus.COMPLETED or result.nodes["each"].output != [
            {"far": number} for number in range(items)
        ]:
            raise RuntimeError(f"the foreach ended {result.status}, or with other outputs than it should")
        used = cpu_seconds(self._pid) - cpu
        return Foreach("execution of a foreach", items, round(seconds, 2), round(items / seconds), round(used, 2))

    async def _start(self, graph: CompiledGraph, count: int) -> None:
        turns = asyncio.Semaphore(STARTS_AT_ONCE)

        async def start(number: int) -> None:
            async with turns:
                await self._client.start(graph, {"number": number})

        await asyncio.gather(*map(start, range(count)))

    async def _is_ready(self, count: int) -> bool:
        topic = await self._control_plane.operations.topic(NAMESPACE, TOPIC)
        return topic.ready_count >= count

    async def _all_ended(self) -> None:
        await _until(self._none_is_open)

    async def _none_is_open(self) -> bool:
        topic = await self._control_plane.operations.topic(NAMESPACE, DEFAULT_TOPIC)
        return topic.ready_count + topic.claimed_count + topic.retry_wait_count == 0

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[None]:
        worker = Worker(self._address, slots=WORKER_SLOTS)

        @worker.handler(TOPIC, operator="Far")
        async def give_back(node_input: dict[str, int]) -> int:
            return node_input["value"]

        async with worker:
            yield


def _graph(members: str) -> CompiledGraph:
    return compile_source(f"graph bench {{ {members} }}", filename="bench.bloge", registry=OperatorRegistry())


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not await holds():  # noqa: ASYNC110 - the server tells only who asks
            await asyncio.sleep(_LOOK_SECONDS)


@contextmanager
def orchestrating(server: Server, executions: int) -> Iterator[int]:
    """Yield the pid of a process that owns executions."""
    command = [sys.executable, "-m", "bloge_orchestrator", "orchestrate", "--address", server.address]
    with Path(server.folder.name, "orchestrator.log").open("wb") as log:
        process = subprocess.Popen([*command, "--concurrency", str(executions)], stderr=log)
        try:
            yield process.pid
        finally:
            stop(process)


async def measure(address: str, pid: int, executions: int, items: int, seconds: float) -> tuple[Suspended, Foreach]:
    """Measure both."""
    async with Orchestrator(address) as client, ControlPlane(address) as control_plane:
        bench = Bench(client, control_plane, pid, address)
        return await bench.suspended(executions, seconds), await bench.foreach(items)


def main() -> int:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="make bench-executions", description=__doc__)
    parser.add_argument("--executions", type=int, default=2000, help="how many wait at once, 20 to 10,000")
    parser.add_argument("--items", type=int, default=5000, help="of the foreach")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to look at those that wait")
    options = parser.parse_args()
    server = Server.start()
    try:
        with orchestrating(server, options.executions) as pid:
            measuring = measure(server.address, pid, options.executions, options.items, options.seconds)
            waiting, foreach = asyncio.run(measuring)
    finally:
        server.stop()
    print(json.dumps(asdict(waiting)))
    print(json.dumps(asdict(foreach)))
    print(
        f"{waiting.executions} executions at once in one process: all wait after {waiting.start_seconds:.1f} s,"
        f" {waiting.bytes_each / 1000:.1f} kB each, {waiting.cpu_percent:.1f} % of a core;"
        f" all ended {waiting.resume_seconds:.1f} s after a worker came"
    )
    print(
        f"a foreach over {foreach.items} remote items: {foreach.seconds:.1f} s, {foreach.items_per_second:.0f} items/s,"
        f" {foreach.orchestrator_cpu_seconds:.1f} s of the orchestrator's processor time"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
