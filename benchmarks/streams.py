"""`make bench-streams`: what idle `Work` streams cost one server.

Opens STREAMS sessions, each on a connection of its own as workers have them, lets them ping as the server asks, and
measures the server's memory before and after, and the processor time that server and store use meanwhile.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.processes import Server, cpu_seconds
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge.remote_workers.v1 import worker_service_pb2_grpc

AT_ONCE = 50
SETTLE_SECONDS = 5.0
WARM_UP_STREAMS = 20
MEMORY_AIM, CPU_AIM = 60_000, 2.0
"""Bytes for each stream; percent of a core for all."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured."""

    benchmark: str
    streams: int
    topics: int
    seconds: float
    bytes_per_stream: int
    server_cpu_percent: float
    store_cpu_percent: float
    frames_per_second: float


class IdleWorker:
    """A worker with nothing to do: says hello, gives credit, answers pings, and asks when the server is quiet."""

    def __init__(self, address: str, number: int, topics: int) -> None:
        self._channel = grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
        self._hello = pb.Hello(worker_id=f"idle-{number}", worker_topics=[f"idle-{number % topics}"], slots=8)
        self._parts: list[asyncio.Task[None]] = []
        self._heard_at = 0.0
        self.frames = 0
        """Sent and received."""

    async def connect(self) -> None:
        """Return once welcomed."""
        stub: Any = worker_service_pb2_grpc.WorkerServiceStub(self._channel)
        self._call = stub.Work()
        await self._send(pb.WorkRequest(hello=self._hello))
        answer: pb.WorkResponse = await self._call.read()
        await self._send(pb.WorkRequest(credits=pb.Credits(items_total=8)))
        quiet = 1.5 * answer.welcome.ping_interval.ToMilliseconds() / 1000
        self._parts = [asyncio.create_task(part) for part in (self._ask(quiet), self._listen())]

    async def close(self) -> None:
        """Break the stream off."""
        for part in self._parts:
            part.cancel()
        self._call.cancel()
        await self._channel.close()

    async def _send(self, frame: pb.WorkRequest) -> None:
        self.frames += 1
        await self._call.write(frame)

    async def _ask(self, seconds: float) -> None:
        """Ask for a sign of life whenever the server has been quiet for so long."""
        while True:
            await asyncio.sleep(max(0.0, self._heard_at + seconds - time.monotonic()))
            if time.monotonic() - self._heard_at >= seconds:
                await self._send(pb.WorkRequest(ping=pb.Ping(ping_id=1)))
                await asyncio.sleep(seconds)

    async def _listen(self) -> None:
        while isinstance(frame := await self._call.read(), pb.WorkResponse):
            self.frames += 1
            self._heard_at = time.monotonic()
            if frame.ping.ping_id:
                await self._send(pb.WorkRequest(ping=pb.Ping(answer=frame.ping.ping_id)))


def memory(pid: int) -> int:
    """Return the bytes that a process has of its own in memory."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not tell")


async def connect(address: str, count: int, topics: int) -> list[IdleWorker]:
    """Open sessions, some at a time."""
    workers = [IdleWorker(address, number, topics) for number in range(count)]
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(*(worker.connect() for worker in workers[start : start + AT_ONCE]))
        print(f"  {min(start + AT_ONCE, count):>5} of {count} streams", flush=True)
    return workers


async def close(workers: list[IdleWorker]) -> None:
    """Close sessions."""
    await asyncio.gather(*(worker.close() for worker in workers))


async def measure(server: Server, streams: int, topics: int, seconds: float) -> Result:
    """Open the streams and measure."""
    pids = (server.process.pid, server.store_pid)
    await close(await connect(server.address, WARM_UP_STREAMS, topics))
    await asyncio.sleep(SETTLE_SECONDS)
    before = memory(pids[0])
    workers = await connect(server.address, streams, topics)
    await asyncio.sleep(SETTLE_SECONDS)
    used = memory(pids[0]) - before
    cpu = [cpu_seconds(pid) for pid in pids]
    frames = sum(worker.frames for worker in workers)
    await asyncio.sleep(seconds)
    percent = [100 * (cpu_seconds(pid) - start) / seconds for pid, start in zip(pids, cpu, strict=True)]
    frames = sum(worker.frames for worker in workers) - frames
    await close(workers)
    return Result(
        benchmark="streams",
        streams=streams,
        topics=topics,
        seconds=seconds,
        bytes_per_stream=used // streams,
        server_cpu_percent=round(percent[0], 2),
        store_cpu_percent=round(percent[1], 2),
        frames_per_second=round(frames / seconds, 1),
    )


def main() -> int:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(prog="make bench-streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000, help="how many sessions, 1 to 10,000")
    parser.add_argument("--topics", type=int, default=10, help="over how many topics they are spread")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure")
    options = parser.parse_args()
    server = Server.start()
    try:
        result = asyncio.run(measure(server, options.streams, options.topics, options.seconds))
    finally:
        server.stop()
    print(json.dumps(asdict(result)))
    print(
        f"{result.streams} idle streams: {result.bytes_per_stream / 1000:.1f} kB each (aim {MEMORY_AIM / 1000:.0f}),"
        f" {result.server_cpu_percent:.1f} % of a core (aim {CPU_AIM:.0f}), store {result.store_cpu_percent:.1f} %"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
