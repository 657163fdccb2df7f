"""The main job end to end: `python -m examples.digits.demo`.

A server and two workers are started, the graph is run in this process, and the worker that is in the middle of a batch
is killed. The exit code is 0 only if the answers are right nevertheless, on scans that the model was not fitted on, and
the history of the killed worker's item names two workers.
"""

import asyncio
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from bloge.remote_workers.v1.work_item_pb2 import WorkItem
from bloge_orchestrator import CompiledGraph, Event, ExecutionResult, Orchestrator, compile_source
from bloge_orchestrator.execution.events import NodeCompleted, NodeResumed, NodeSuspended
from examples.digits import operators, worker
from examples.digits.items import Items, answered
from examples.digits.processes import ProcessEndedError, Processes, free_port
from examples.digits.screen import Screen
from examples.digits.verdict import history, node_table, problems

_GRAPH = Path(__file__).with_name("digits.bloge")
_WORKERS = ("alder", "birch")
_SLOTS = 2
_LEASE_SECONDS = 2
"""Short, so that the item of a dead worker is soon given to another."""
_PACE_MILLIS = 1500
_MIDDLE = 50
"""A worker is killed once it has answered this many images of a batch of about 150."""
_LIMIT_SECONDS = 60
_LOOK_AGAIN_SECONDS = 0.05
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Finished:
    """What the verdict is about."""

    result: ExecutionResult
    items: dict[str, WorkItem]
    """The work items by node."""
    killed: WorkItem | None
    """The one whose worker was killed in the middle."""


class Run:
    """One run of the graph, in the middle of which a worker is killed."""

    def __init__(self, screen: Screen, processes: Processes, items: Items) -> None:
        self._screen = screen
        self._processes = processes
        self._items = items
        self._nodes: dict[str, str] = {}
        """The node of each work item, by item id."""
        self._killed = ""
        """The item whose worker was killed; empty as long as none was."""

    async def to_end(self, address: str) -> Finished:
        """Run the graph and kill a worker meanwhile."""
        async with Orchestrator(address) as orchestrator, asyncio.TaskGroup() as group:
            killing = group.create_task(self._kill_a_worker())
            result = await orchestrator.run(_compiled(), {"paceMillis": _PACE_MILLIS}, on_event=self._heard)
            killing.cancel()  # it has ended long ago, unless the execution ended too soon for it
        items = {node_id: await self._items.get(item_id) for item_id, node_id in self._nodes.items()}
        return Finished(result, items, items.get(self._nodes.get(self._killed, "")))

    async def _kill_a_worker(self) -> None:
        """Kill the worker that is first in the middle of an item, and wait until another takes the item over."""
        item = await self._items.first_in_the_middle(self._nodes, _MIDDLE)
        item_id, holder = item.item.item_id, item.worker_id
        node_id = self._nodes[item_id]
        self._screen.say(f"{node_id}: {holder} holds the lease and has answered {answered(item)} images")
        pid = await self._processes.kill(holder)
        self._killed = item_id
        self._screen.say(f"SIGKILL to {holder} (pid {pid})")
        item = await self._items.taken_over(item_id, item.fence)
        self._screen.say(f"{node_id}: the lease ran out; {item.worker_id} has the item now")

    def _heard(self, event: Event) -> None:
        match event:
            case NodeSuspended():
                self._nodes[event.item_id] = event.node_id
                self._screen.say(f"{event.node_id}: suspended, waits for a worker")
            case NodeResumed():
                self._screen.say(f"{event.node_id}: {event.outcome} by {event.worker_id or 'nobody'}")
            case NodeCompleted() if event.node_id not in self._nodes.values():
                self._screen.say(f"{event.node_id}: COMPLETED in the orchestrator")
            case _:
                pass


async def demo(screen: Screen, folder: Path, limit: asyncio.Timeout) -> list[str]:
    """Run the whole demo with logs and data in `folder`; return what is wrong, nothing if all is well.

    With `KEEP=1` it then goes on until it is interrupted, so that the Ops Console can be looked at.
    """
    address = f"127.0.0.1:{free_port()}"
    console = f"127.0.0.1:{free_port()}" if os.environ.get("KEEP") else "off"
    async with Processes(folder) as processes, grpc.aio.insecure_channel(address) as channel:
        listen = ("--listen", address, "--http-listen", console)
        await processes.start("server", "bloge_server", *listen, "--data-dir", str(folder / "store"))
        await processes.guard(_ready(channel))
        screen.say(f"server at {address}, on its embedded store")
        for name in _WORKERS:
            flags = ("--address", address, "--worker-id", name, "--slots", str(_SLOTS))
            pid = await processes.start(name, "examples.digits.worker", *flags, "--lease-seconds", str(_LEASE_SECONDS))
            screen.say(f"worker {name} (pid {pid}) for {worker.TOPIC}, with leases of {_LEASE_SECONDS} s")
        finished = await processes.guard(Run(screen, processes, Items(channel, worker.TOPIC)).to_end(address))
        _tell(screen, finished)
        found = problems(finished.result, finished.killed)
        screen.verdict(found)
        if console != "off":
            limit.reschedule(None)
            screen.say(f"server and workers go on; the Ops Console is at http://{console}/console (Ctrl-C ends all)")
            await processes.guard(asyncio.Event().wait())
    return found


def _tell(screen: Screen, finished: Finished) -> None:
    screen.title(f"Execution {finished.result.execution_id} of {finished.result.graph_name}: {finished.result.status}")
    screen.table(node_table(finished.result, finished.items))
    if finished.killed:
        screen.title(f"History of the work item of {finished.killed.spec.node_id}")
        screen.table(history(finished.killed))
    if report := finished.result.nodes["report"].output:
        screen.title(f"Accuracy: {report['correct']} of {report['scans']} held-out scans, {report['accuracy']:.1%}")


def _compiled() -> CompiledGraph:
    return compile_source(_GRAPH.read_text(encoding="utf-8"), filename=_GRAPH.name, registry=operators.registry)


async def _ready(channel: grpc.aio.Channel) -> None:
    """Return once the server says by the health service that it serves."""
    health = HealthStub(channel)
    while True:
        check = health.Check(HealthCheckRequest(), wait_for_ready=True)  # type: ignore[attr-defined] # its declarations lack the methods
        reply: HealthCheckResponse = await check
        if reply.status == HealthCheckResponse.SERVING:
            return
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _main(screen: Screen) -> list[str]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="bloge-demo-") as folder:
        try:
            async with asyncio.timeout(_LIMIT_SECONDS) as limit:
                return await demo(screen, Path(folder), limit)
        except TimeoutError:
            found = [f"the demo did not end within {_LIMIT_SECONDS} s"]
        except ProcessEndedError as error:
            found = [str(error)]
    screen.verdict(found)
    return found


def main() -> int:
    """Run the demo and return the exit code."""
    screen = Screen()
    try:
        found = asyncio.run(_main(screen))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.line("stopped")
        return _INTERRUPTED
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
