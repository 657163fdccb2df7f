"""One execution whose owner is killed."""

import asyncio
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as calls
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from bloge_orchestrator import Orchestrator
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.execution.events import NodeStarted, NodeSuspended
from bloge_orchestrator.handle import ExecutionHandle
from bloge_orchestrator.outcome_watch import ItemRef
from bloge_orchestrator.serving import DEFAULT_TOPIC
from crash.evidence import Death, Evidence, OperatorRun
from crash.layout import FOLDER, NAMESPACE
from crash.operators import RUNS_VARIABLE

_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the executions of a run share."""

    address: str
    orchestrator: Orchestrator
    control_plane: ControlPlane
    channel: grpc.aio.Channel
    runs_path: Path
    """Where operators note their runs."""
    worker_runs: Counter[str]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is run.

    Args:
        graph: Name of the file.
        cancelled_at: If not None, the execution is cancelled once as many nodes wait.
    """

    graph: str
    cancelled_at: int | None = None


async def run(setting: Setting, scenario: Scenario, dies_at: int) -> Evidence:
    """Run an execution whose first owner dies at a boundary, and gather what it leaves behind.

    Args:
        setting: Where.
        scenario: What.
        dies_at: Number of the boundary, from 1; 0: it lives.
    """
    async with asyncio.timeout(_PATIENCE.total_seconds()):
        async with _victim(setting, scenario, dies_at) as process:
            assert process.stdout is not None
            handle = setting.orchestrator.execution(_told(await process.stdout.readline())["execution"])
            cancelling = asyncio.create_task(_cancel(handle, scenario.cancelled_at))
            last = _told((await process.stdout.read()).splitlines()[-1])
        await cancelling
        death = Death(last["died"], last["at_ms"]) if "died" in last else None
        return await _gathered(setting, handle, dies_at, death, last.get("survived"))


@asynccontextmanager
async def _victim(setting: Setting, scenario: Scenario, dies_at: int) -> AsyncIterator[asyncio.subprocess.Process]:
    graph, key = FOLDER / f"{scenario.graph}.bloge", f"{scenario.graph}-{dies_at}-{uuid.uuid4()}"
    arguments = (setting.address, NAMESPACE, str(graph), key, str(dies_at))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "crash.victim",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env=_environment(setting.runs_path),
    )
    try:
        yield process
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _environment(runs_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
    return {**own, "PYTHONPATH": str(FOLDER.parent), RUNS_VARIABLE: str(runs_path)}


def _told(line: bytes) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(line)
    return told


async def _cancel(handle: ExecutionHandle, when_waiting: int | None) -> None:
    waiting: set[str] = set()
    if when_waiting is None:
        return
    async for event in handle.events():
        if isinstance(event, NodeSuspended) or (isinstance(event, NodeStarted) and event.node_id == "endless"):
            waiting.add(event.node_id)
        if len(waiting) == when_waiting:
            break
    await handle.cancel("enough")


async def _gathered(
    setting: Setting, handle: ExecutionHandle, dies_at: int, death: Death | None, boundaries: int | None
) -> Evidence:
    result = await handle.result()
    own = ItemRef(NAMESPACE, DEFAULT_TOPIC, handle.execution_id)
    await setting.control_plane.await_outcome(own, _PATIENCE)
    events = [event async for event in handle.events()]
    suspensions = [event for event in events if isinstance(event, NodeSuspended)]
    return Evidence(
        execution_id=handle.execution_id,
        dies_at=dies_at,
        death=death,
        boundaries=boundaries,
        result=result,
        events=events,
        execution=await setting.control_plane.get(own),
        items=await _items(setting, suspensions),
        unacknowledged=await _unacknowledged(setting, handle.execution_id, {each.worker_topic for each in suspensions}),
        operator_runs=_operator_runs(setting.runs_path, handle.execution_id),
        worker_runs=Counter(
            {item: count for item, count in setting.worker_runs.items() if item.startswith(handle.execution_id)}
        ),
    )


async def _items(setting: Setting, suspensions: Sequence[NodeSuspended]) -> list[pb.WorkItem]:
    found = []
    for each in suspensions:
        try:
            found.append(await setting.control_plane.get(ItemRef(NAMESPACE, each.worker_topic, each.item_id)))
        except RemoteWorkersError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
    return found


async def _unacknowledged(setting: Setting, execution_id: str, worker_topics: set[str]) -> list[pb.Outcome]:
    """Return the outcomes that still wait for somebody to record them."""
    sources = [
        calls.OutcomeSource(namespace=NAMESPACE, worker_topic=topic, reply_group=execution_id)
        for topic in worker_topics
    ]
    watch = WorkItemServiceStub(setting.channel).WatchOutcomes()
    await watch.write(calls.WatchOutcomesRequest(add=calls.OutcomeSources(sources=sources)))
    left, caught_up = list[pb.Outcome](), 0
    async for response in watch:
        left += response.outcomes
        caught_up += len(response.caught_up)
        if caught_up == len(sources):
            break
    watch.cancel()
    return left


def _operator_runs(path: Path, execution_id: str) -> list[OperatorRun]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    runs = [run for run in map(json.loads, lines) if run["execution"] == execution_id]
    return [OperatorRun(run["node"], run["attempt"], run["at_ms"]) for run in runs]
