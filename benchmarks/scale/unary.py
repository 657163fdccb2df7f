"""The unary path, Claim 1 and Complete 1 from one client, beside what grpc.aio alone allows."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from benchmarks.peers.bloge.client import BlogeClient
from benchmarks.peers.bloge.worker import TOPIC
from benchmarks.peers.contract import PAYLOAD_BYTES
from benchmarks.processes import Server, stop
from benchmarks.scale.echo_server import METHOD
from bloge.remote_workers.v1 import lease_pb2, worker_service_pb2_grpc
from bloge.remote_workers.v1 import worker_service_pb2 as pb
from bloge_orchestrator.control_plane import ControlPlane

_CALLERS = (1, 16)
_MOST_ITEMS_PER_SECOND = 6000
"""More than any unary worker gets through: a claim that finds nothing would be no claim."""


async def calls_per_second(act: Callable[[], Awaitable[int]], callers: int, seconds: float) -> float:
    """Return how many calls a second some callers make, each one call after another.

    Args:
        act: makes some calls and returns their number.
        callers: how many are at it at once.
        seconds: for how long.
    """
    began, made = time.perf_counter(), 0

    async def call() -> None:
        nonlocal made
        while time.perf_counter() - began < seconds:
            some = await act()  # first: another caller may count meanwhile
            made += some

    await asyncio.gather(*(call() for _ in range(callers)))
    return made / (time.perf_counter() - began)


async def ours(seconds: float) -> dict[int, float]:
    """Return calls a second of a unary worker, by number of callers."""
    server = Server.start()
    try:
        async with ControlPlane(server.address) as control_plane, grpc.aio.insecure_channel(server.address) as channel:
            client = BlogeClient(control_plane)
            backlog = int(_MOST_ITEMS_PER_SECOND * seconds * len(_CALLERS))
            await client.enqueue([f"unary-{number}" for number in range(backlog)])
            stub = worker_service_pb2_grpc.WorkerServiceStub(channel)

            async def one_item() -> int:
                claim = await stub.Claim(pb.ClaimRequest(worker_topic=TOPIC, worker_id="unary"))
                (lease,) = claim.leases
                report = lease_pb2.CompleteReport(lease_token=lease.lease_token, output=b'{"ok":true}')
                await stub.Complete(pb.CompleteRequest(reports=[report]))
                return 2

            return {callers: await calls_per_second(one_item, callers, seconds) for callers in _CALLERS}
    finally:
        server.stop()


async def echo(seconds: float) -> dict[int, float]:
    """Return calls a second of a server that only gives back what it gets, by number of callers."""
    with _echo_server() as port:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: Any = channel.unary_unary(METHOD)

            async def one_call() -> int:
                await method(b"x" * PAYLOAD_BYTES)
                return 1

            return {callers: await calls_per_second(one_call, callers, seconds) for callers in _CALLERS}


async def measure(rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Return calls a second of both, for each number of callers, taken alternately."""
    return [
        {"callers": callers, "ours_per_s": own, "echo_per_s": bare[callers]}
        for _ in range(rounds)
        for bare in [await echo(seconds)]
        for callers, own in (await ours(seconds)).items()
    ]


@contextmanager
def _echo_server() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.scale.echo_server"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        stop(process)
        process.stdout.close()
