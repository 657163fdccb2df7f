"""What a system keeps its items in: started fresh for each visit, on loopback or a unix socket, stopped after it."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as NotThere
from redis.retry import Retry

from benchmarks.compare.systems import REDIS, Broker
from benchmarks.peers import install
from benchmarks.processes import Server, stop

_START_SECONDS = 30.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """A broker that runs."""

    address: str
    """What workers and clients are told."""
    processes: Callable[[], dict[str, list[int]]]
    """Returns its processes now, by what they are."""
    stored_bytes: Callable[[], int]
    """Returns how much it keeps: memory of a store, bytes of a stream; 0 if it cannot be told."""


@contextmanager
def running(broker: Broker, *flags: str) -> Iterator[Running]:
    """Yield a fresh broker of a kind; flags are for our server.

    Raises:
        RuntimeError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="bloge-bench-") as name:
        folder = Path(name)
        match broker:
            case "redis":
                with _redis(folder) as found:
                    yield found
            case "bloge-redis":
                with _redis(folder) as store, _bloge("--redis-url", f"unix://{store.address}", *flags) as server:
                    processes = lambda: {**server.processes(), **store.processes()}  # noqa: E731 - one line says it
                    yield Running(server.address, processes, store.stored_bytes)
            case "bloge-embedded":
                with _bloge(*flags) as server:
                    client = redis.Redis(unix_socket_path=f"{server.folder.name}/store.sock")
                    yield Running(server.address, server.processes, lambda: _memory(client))
            case "nats":
                with _nats(folder) as found:
                    yield found
            case "temporal":
                with _temporal(folder) as found:
                    yield found


@contextmanager
def _bloge(*flags: str) -> Iterator[Server]:
    server = Server.start(*flags)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _redis(folder: Path) -> Iterator[Running]:
    path = folder / "redis.sock"
    settings = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    settings += ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]
    patient = Retry(ConstantBackoff(0.05), 200, (NotThere, BusyLoadingError, FileNotFoundError))
    with _process([REDIS, *settings], folder) as process:
        client = redis.Redis(unix_socket_path=str(path), retry=patient)
        client.ping()
        yield Running(str(path), lambda: {"store": [process.pid]}, lambda: _memory(client))


@contextmanager
def _nats(folder: Path) -> Iterator[Running]:
    port, monitor = free_port(), free_port()
    config = folder / "nats.conf"
    config.write_text(
        f"listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\n"
        f'jetstream {{ store_dir: "{folder}/streams", sync_interval: "1s" }}\n'
    )

    def stored() -> int:
        with urlopen(f"http://127.0.0.1:{monitor}/jsz") as answer:
            return int(json.load(answer)["bytes"])

    with _process([str(install.binary("nats", "nats-server")), "-c", str(config)], folder) as process:
        _until_open(port, process)
        yield Running(f"nats://127.0.0.1:{port}", lambda: {"broker": [process.pid]}, stored)


@contextmanager
def _temporal(folder: Path) -> Iterator[Running]:
    port = free_port()
    command = [str(install.binary("temporal", "temporal")), "server", "start-dev", "--headless", "--log-level", "error"]
    command += ["--ip", "127.0.0.1", "--port", str(port), "--db-filename", str(folder / "temporal.db")]
    command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    with _process(command, folder) as process:
        _until_open(port, process)
        yield Running(f"127.0.0.1:{port}", lambda: {"broker": [process.pid]}, lambda: 0)


@contextmanager
def _process(command: list[str], folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    if shutil.which(command[0]) is None:
        raise RuntimeError(f"{Path(command[0]).name} is not here")
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield process
    finally:
        stop(process)


def _memory(client: redis.Redis) -> int:
    memory = client.info("memory")
    assert isinstance(memory, dict)
    return int(memory["used_memory"])


def free_port() -> int:
    """Return a port on loopback that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return
    raise RuntimeError(f"the broker on port {port} does not start")
