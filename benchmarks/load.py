"""`make load`: drains a backlog with full semantics and checks that every item ended exactly once.

Items are enqueued first, then workers start. The time runs from the first worker's start until the last outcome arrived
at the enqueuer. After the drain, single items at a slow steady rate tell the latency from enqueue to outcome.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import grpc

from benchmarks.load_worker import TOPIC
from benchmarks.processes import LoadWorker, Server, cpu_seconds
from bloge.remote_workers.v1 import work_item_pb2, work_item_service_pb2_grpc
from bloge.remote_workers.v1 import work_item_service_pb2 as pb

GROUP = "load"
PAYLOAD = b'{"image":"' + b"x" * 244 + b'"}'
BATCH = 500
LIMIT_SECONDS = 120
STEADY_ITEMS = 250
STEADY_RATE = 50.0


@dataclass(slots=True)
class Outcomes:
    """Outcomes as the enqueuer receives them."""

    arrived: dict[str, float] = field(default_factory=dict)
    repeated: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    acknowledge: "asyncio.Queue[pb.WatchOutcomesRequest]" = field(default_factory=asyncio.Queue)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, stub: "work_item_service_pb2_grpc.WorkItemServiceAsyncStub") -> None:
        """Receive and acknowledge until cancelled."""
        async for response in stub.WatchOutcomes(self._requests()):
            now = time.perf_counter()
            for outcome in response.outcomes:
                self.repeated += outcome.item.item_id in self.arrived
                self.arrived.setdefault(outcome.item.item_id, now)
                self.kinds[work_item_pb2.OutcomeKind.Name(outcome.kind)] += 1
            if response.outcomes:
                acknowledged = pb.OutcomeAcknowledgements(items=[outcome.item for outcome in response.outcomes])
                self.acknowledge.put_nowait(pb.WatchOutcomesRequest(acknowledge=acknowledged))
            self.changed.set()

    async def _requests(self) -> AsyncIterator[pb.WatchOutcomesRequest]:
        source = pb.OutcomeSource(worker_topic=TOPIC, reply_group=GROUP)
        yield pb.WatchOutcomesRequest(add=pb.OutcomeSources(sources=[source]))
        while True:
            yield await self.acknowledge.get()

    async def until(self, total: int, deadline: float) -> None:
        """Wait until so many outcomes arrived, or the deadline passes."""
        while len(self.arrived) < total and time.perf_counter() < deadline:
            self.changed.clear()
            try:
                async with asyncio.timeout(1):
                    await self.changed.wait()
            except TimeoutError:
                print(f"  {len(self.arrived):>7} of {total} outcomes", flush=True)


def spec(item_id: str) -> work_item_pb2.WorkItemSpec:
    """Return an item with every promise on: retries, reply group, suspend deadline."""
    policy = work_item_pb2.RetryPolicy(attempts=3, strategy=work_item_pb2.BACKOFF_STRATEGY_EXPONENTIAL)
    policy.backoff.FromSeconds(2)
    described = work_item_pb2.WorkItemSpec(
        item_id=item_id, worker_topic=TOPIC, payload=PAYLOAD, retry_policy=policy, reply_group=GROUP
    )
    described.suspend_timeout.FromSeconds(300)
    return described


async def enqueue(stub: "work_item_service_pb2_grpc.WorkItemServiceAsyncStub", ids: Iterable[str]) -> float:
    """Enqueue items in batches, a few calls at a time; return items a second."""
    began, total = time.perf_counter(), 0
    room = asyncio.Semaphore(4)

    async def send(batch: list[str]) -> None:
        async with room:
            response = await stub.Enqueue(pb.EnqueueRequest(items=map(spec, batch)))
        if not all(result.created for result in response.results):
            raise RuntimeError("an item was not created")

    async with asyncio.TaskGroup() as group:
        rest = iter(ids)
        while batch := list(islice(rest, BATCH)):
            total += len(batch)
            group.create_task(send(batch))
    return total / (time.perf_counter() - began)


async def steady(stub: "work_item_service_pb2_grpc.WorkItemServiceAsyncStub", outcomes: Outcomes) -> list[float]:
    """Enqueue single items at a steady rate, whether outcomes come or not; return sorted latencies in ms."""
    began = time.perf_counter()
    sent: dict[str, float] = {}
    calls = []
    for index in range(STEADY_ITEMS):
        await asyncio.sleep(max(0.0, began + index / STEADY_RATE - time.perf_counter()))
        item_id = f"steady-{index}"
        sent[item_id] = time.perf_counter()
        calls.append(asyncio.ensure_future(stub.Enqueue(pb.EnqueueRequest(items=[spec(item_id)]))))
    await asyncio.gather(*calls)
    await outcomes.until(len(outcomes.arrived.keys() | sent.keys()), time.perf_counter() + 30)
    return sorted(
        (outcomes.arrived[item_id] - at) * 1000 for item_id, at in sent.items() if item_id in outcomes.arrived
    )


def compare(ids: set[str], ran: list[str], outcomes: Outcomes) -> list[str]:
    """Return what is not as it should be: ids enqueued, run and accepted must be the same."""
    problems = []
    runs = Counter(ran)
    for name, found in (("handlers ran", set(runs)), ("outcomes accepted", set(outcomes.arrived))):
        if missing := ids - found:
            problems.append(f"{len(missing)} enqueued, but no {name}, for example {min(missing)}")
        if extra := found - ids:
            problems.append(f"{len(extra)} {name} that nobody enqueued, for example {min(extra)}")
    if more := [item_id for item_id, number in runs.items() if number > 1]:
        problems.append(f"{len(more)} ran more than once, for example {min(more)}")
    if set(outcomes.kinds) - {"OUTCOME_KIND_COMPLETED"}:
        problems.append(f"outcomes other than completed: {dict(outcomes.kinds)}")
    return problems


class Load:
    """One run: a server, its workers, and an enqueuer.

    Args:
        server: the control plane.
        options: how many items, worker processes and slots.
        folder: where workers write what they ran.
    """

    def __init__(self, server: Server, options: argparse.Namespace, folder: Path) -> None:
        self._server = server
        self._options = options
        self._folder = folder
        self._workers: list[LoadWorker] = []
        self._outcomes = Outcomes()

    async def run(self) -> list[str]:
        """Enqueue, drain, measure latency; return what is not as it should be."""
        async with grpc.aio.insecure_channel(self._server.address) as channel:
            stub = work_item_service_pb2_grpc.WorkItemServiceStub(channel)
            ids = [f"item-{index}" for index in range(self._options.items)]
            rate = await enqueue(stub, ids)
            print(f"enqueue: {len(ids)} items in batches of {BATCH}: {rate:,.0f} items/s", flush=True)
            watching = asyncio.create_task(self._outcomes.watch(stub))
            await self._drain(len(ids))
            _print_latencies(await steady(stub, self._outcomes))
            ids += [f"steady-{index}" for index in range(STEADY_ITEMS)]
            ran = [item_id for worker in self._workers for item_id in worker.stop()]
            self._workers.clear()
            watching.cancel()
        arrived = self._outcomes
        print(f"enqueued {len(ids)}, ran {len(ran)}, outcomes {len(arrived.arrived)} (redelivered {arrived.repeated})")
        return compare(set(ids), ran, arrived)

    def kill_workers(self) -> None:
        """End workers that a failed run left."""
        for worker in self._workers:
            worker.process.kill()

    async def _drain(self, total: int) -> None:
        """Start the workers, wait for the outcomes, and say how fast they came and what they cost."""
        pids = {"server": self._server.process.pid, "store": self._server.store_pid}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        began = time.perf_counter()
        for number in range(self._options.workers):
            ran_file = self._folder / f"worker-{number}"
            self._workers.append(LoadWorker.start(self._server.address, self._options.slots, ran_file))
        await self._outcomes.until(total, began + LIMIT_SECONDS)
        arrived = sorted(self._outcomes.arrived.values()) or [began]
        first, last, count = arrived[0], arrived[-1], len(self._outcomes.arrived)
        print(f"drain: {count} of {total} items in {last - began:.2f} s with {len(self._workers)} worker process(es)")
        print(f"  {count / max(1e-9, last - first):,.0f} items/s from the first outcome on")
        used = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
        used |= {f"worker {number}": cpu_seconds(each.process.pid) for number, each in enumerate(self._workers)}
        used["enqueuer"] = time.process_time()
        for name, seconds in used.items():
            print(f"  cpu {name}: {seconds:.2f} s, {seconds / total * 1e6:.1f} microseconds an item")


def _print_latencies(latencies: list[float]) -> None:
    if latencies:
        middle, high = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
        print(f"enqueue to outcome at {STEADY_RATE:.0f} items/s: p50 {middle:.1f} ms, p99 {high:.1f} ms")


async def run(options: argparse.Namespace) -> int:
    """Run the load; return the exit code."""
    server = Server.start()
    with tempfile.TemporaryDirectory(prefix="bloge-load-ran-") as folder:
        load = Load(server, options, Path(folder))
        try:
            problems = await load.run()
        finally:
            load.kill_workers()
            server.stop()
    for problem in problems:
        print(f"PROBLEM: {problem}")
    print("the sets differ" if problems else "every item ended exactly once")
    return 1 if problems else 0


def main() -> int:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000, help="how many items to drain, 1 to 1,000,000")
    parser.add_argument("--workers", type=int, default=1, help="how many worker processes, 1 to 16")
    parser.add_argument("--slots", type=int, default=3000, help="how many items a worker holds at once, 1 to 10,000")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
