"""Temporal: one workflow of one activity, on the development server."""

import asyncio
import signal
from datetime import timedelta

import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.peers.contract import Surroundings, handle

QUEUE = "bench"


@activity.defn
async def noop(job: dict[str, str]) -> dict[str, str]:
    """Run one job."""
    return await handle(job["item"])


@workflow.defn
class OneActivity:
    """The graph of one remote node."""

    @workflow.run
    async def run(self, job: dict[str, str]) -> dict[str, str]:
        """Run the activity."""
        return await workflow.execute_activity(noop, job, start_to_close_timeout=timedelta(minutes=5))


async def main() -> None:
    """Work until SIGTERM."""
    where = Surroundings.read()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(
        await Client.connect(where.store),
        task_queue=QUEUE,
        workflows=[OneActivity],
        activities=[noop],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=where.slots,
        max_concurrent_workflow_tasks=where.slots,
        max_concurrent_workflow_task_polls=10,
        max_concurrent_activity_task_polls=10,
    ):
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(main())
