"""A worker process: `python -m chaos.worker NAME SLOTS FOLDER ADDRESS... LIFE`."""

import asyncio
import sys
from pathlib import Path

from chaos.calls import Servers
from chaos.history import Recorder
from chaos.layout import WORKERS
from chaos.sdk_worker import make_worker
from chaos.stream_worker import StreamWorker
from chaos.unary_worker import UnaryWorker


def command(name: str, slots: int, folder: Path, addresses: list[str]) -> list[str]:
    """Return how to start one; the number of its life is still to come."""
    return [sys.executable, "-m", "chaos.worker", name, str(slots), str(folder), *addresses]


def worker_id(name: str, life: int) -> str:
    """Return the id of one life of a worker."""
    return f"{name}.{life}"


async def run(name: str, life: int, slots: int, folder: Path, addresses: list[str]) -> None:
    """Work until killed, or until SIGTERM for a worker of the SDK."""
    own_id = worker_id(name, life)
    recorder = Recorder(folder / f"{own_id}.jsonl")
    kind, index = name.partition("-")[0], WORKERS.index(name) % len(addresses)
    if kind == "sdk":
        await make_worker(addresses[index], own_id, slots, recorder).run()
    elif kind == "unary":
        await UnaryWorker(Servers(addresses, index), own_id, slots, recorder).run()
    else:
        await StreamWorker(Servers(addresses, index), own_id, slots, recorder).run()


if __name__ == "__main__":
    name, slots, folder, *addresses, life = sys.argv[1:]
    asyncio.run(run(name, int(life), int(slots), Path(folder), addresses))
