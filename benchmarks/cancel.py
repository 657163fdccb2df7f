"""`make bench-cancel`: how long it takes from a Cancel call until the handler notices.

One item after the other begins to run in a worker process, under a lease that asks for no heartbeat, and is cancelled;
the handler notes when it is told. Caller, server, store and worker share the machine and its monotonic clock.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import grpc

from benchmarks.cancel_worker import TOPIC
from benchmarks.processes import Server
from bloge.remote_workers.v1 import work_item_pb2, work_item_service_pb2_grpc
from bloge.remote_workers.v1 import work_item_service_pb2 as pb

OPERATORS = ("async", "thread")
WARM_UP = 5
P99_AIM_MS = 50.0
_PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured, in ms."""

    benchmark: str
    operator: str
    cancels: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


class Worker:
    """The worker process, heard line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, address: str) -> "Worker":
        """Start one."""
        command = [sys.executable, "-m", "benchmarks.cancel_worker", "--address", address]
        return cls(await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))

    async def hear(self, verb: str, item_id: str) -> list[str]:
        """Return what follows a verb and an item."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            while line := (await self._process.stdout.readline()).decode().split():
                if line[:2] == [verb, item_id]:
                    return line[2:]
        raise RuntimeError("the worker ended")

    async def stop(self) -> None:
        """End it."""
        self._process.terminate()
        await self._process.wait()


async def cancel_one(stub: Any, worker: Worker, item_id: str, operator: str) -> float:  # noqa: ANN401 - generated
    """Run one item, cancel it; return how many ms later its handler knew."""
    spec = work_item_pb2.WorkItemSpec(item_id=item_id, worker_topic=TOPIC, operator_ref=operator)
    await stub.Enqueue(pb.EnqueueRequest(items=[spec]))
    await worker.hear("begun", item_id)
    called = time.monotonic()
    item = work_item_pb2.WorkItemRef(worker_topic=TOPIC, item_id=item_id)
    calling = asyncio.ensure_future(stub.Cancel(pb.CancelRequest(items=[item])))
    (stopped,) = await worker.hear("stopped", item_id)
    (result,) = (await calling).results
    if not result.cancelled:
        raise RuntimeError(f"{item_id} was not cancelled")
    return (float(stopped) - called) * 1000


async def measure(address: str, cancels: int) -> list[Result]:
    """Cancel items of each kind of handler."""
    worker = await Worker.start(address)
    results = []
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = work_item_service_pb2_grpc.WorkItemServiceStub(channel)
            for operator in OPERATORS:
                took = [
                    await cancel_one(stub, worker, f"{operator}-{number}", operator)
                    for number in range(cancels + WARM_UP)
                ][WARM_UP:]
                results.append(summary(operator, sorted(took)))
    finally:
        await worker.stop()
    return results


def summary(operator: str, took: list[float]) -> Result:
    """Return the percentiles of sorted latencies."""
    middle, high = took[len(took) // 2], took[int(len(took) * 0.99)]
    return Result("cancel", operator, len(took), round(middle, 2), round(high, 2), round(took[-1], 2))


def main() -> int:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="make bench-cancel", description=__doc__)
    parser.add_argument("--cancels", type=int, default=500, help="how many items of each kind, 10 to 100,000")
    options = parser.parse_args()
    server = Server.start()
    try:
        results = asyncio.run(measure(server.address, options.cancels))
    finally:
        server.stop()
    for result in results:
        print(json.dumps(asdict(result)))
    for result in results:
        print(
            f"Cancel call to {result.operator} handler: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms"
            f" (aim {P99_AIM_MS:.0f}), longest {result.longest_ms:.1f} ms of {result.cancels}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
