"""A run: a server, two orchestrators that take over, a worker, and executions whose first owners are killed."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc

from bloge_orchestrator import Orchestrator
from bloge_orchestrator.control_plane import ControlPlane
from crash.evidence import Evidence
from crash.layout import LEASE_SECONDS, NAMESPACE, OPERATORS
from crash.operators import RUNS_VARIABLE
from crash.trial import Scenario, Setting, run
from crash.workers import make_worker
from support.orchestrator_process import OrchestratorProcess
from support.server import running_process

SUCCESSORS = 2

Tell = Callable[[Evidence], None]


@asynccontextmanager
async def setting_in(folder: Path) -> AsyncIterator[Setting]:
    """Yield a control plane with two orchestrators and a worker, in processes of their own but for the worker.

    Args:
        folder: where they keep what they keep.
    """
    async with AsyncExitStack() as stack:
        server = stack.enter_context(running_process(folder / "server"))
        address, runs_path, worker_runs = server.address, folder / "runs.jsonl", Counter[str]()
        for _ in range(SUCCESSORS):
            stack.enter_context(
                OrchestratorProcess(
                    address,
                    NAMESPACE,
                    OPERATORS,
                    lease_seconds=LEASE_SECONDS,
                    variables={RUNS_VARIABLE: str(runs_path)},
                )
            )
        await stack.enter_async_context(make_worker(address, worker_runs))
        yield Setting(
            address,
            await stack.enter_async_context(Orchestrator(address, namespace=NAMESPACE)),
            await stack.enter_async_context(ControlPlane(address)),
            await stack.enter_async_context(grpc.aio.insecure_channel(address)),
            runs_path,
            worker_runs,
        )


async def kill_everywhere(setting: Setting, scenario: Scenario, at_once: int, tell: Tell) -> None:
    """Kill the first owner of one execution after another, each at the next boundary, until one lives to its end.

    An owner that loses its lease on the way, as on a busy machine, does not reach its boundary; another is sent there.

    Args:
        setting: where.
        scenario: what is run.
        at_once: executions in flight.
        tell: told of each.
    """
    numbers = iter(range(1, sys.maxsize))
    survived = asyncio.Event()

    async def kill_on() -> None:
        while not survived.is_set():
            number = next(numbers)
            while (evidence := await run(setting, scenario, number)).was_fenced_off:
                tell(evidence)
            if evidence.death is None:
                survived.set()
            tell(evidence)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(kill_on())
