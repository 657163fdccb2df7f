"""What the programs of every peer share. Standard library only: they run in environments of their own.

A peer has a worker and a client. The worker is told where to work by variables, notes every run of its handler in
`BENCH_NOTES`, and keeps `{"item": id}` as the result. The client reads commands from standard input, one JSON object a
line, and answers each with one line.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

PAYLOAD_BYTES = 256
HOLD = "hold"
"""Items whose ids begin with it keep their handler busy until its process ends."""
HOLD_SECONDS = 3600.0
_FLUSH_SECONDS = 0.05
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a worker or client works, and how."""

    store: str
    """Path of the store's unix socket, or the broker's address."""
    slots: int
    """How many items a worker runs at once."""
    lease_seconds: float
    """How soon a dead worker's items go back; 0: the peer's own default."""

    @classmethod
    def read(cls) -> "Surroundings":
        """Return what the variables say."""
        get = os.environ.get
        return cls(get("BENCH_STORE", ""), int(get("BENCH_SLOTS", "100")), float(get("BENCH_LEASE_SECONDS", "0")))


def payload(item_id: str) -> dict[str, str]:
    """Return an item's input: 256 bytes as compact JSON."""
    bare = {"item": item_id, "pad": ""}
    return {**bare, "pad": "x" * (PAYLOAD_BYTES - len(json.dumps(bare, separators=(",", ":"))))}


def result(item_id: str) -> dict[str, str]:
    """Return what a handler gives back."""
    return {"item": item_id}


class Notes:
    """Notes each run with its instant, and writes them down every 50 ms from a thread of its own."""

    def __init__(self) -> None:
        self._fresh: deque[tuple[str, int]] = deque()
        self._writer = 0

    def ran(self, item_id: str) -> None:
        """Note that a handler ran an item."""
        if self._writer != os.getpid():  # the process may have been forked since
            self._writer, self._fresh = os.getpid(), deque()
            threading.Thread(target=self._write, daemon=True).start()
        self._fresh.append((item_id, time.time_ns() // 1000))

    def _write(self) -> None:
        with Path(os.environ["BENCH_NOTES"], str(os.getpid())).open("a") as file:
            while True:
                time.sleep(_FLUSH_SECONDS)
                # One by one: a list that is put aside whole may get one more note from a thread that holds it already.
                fresh = [self._fresh.popleft() for _ in range(len(self._fresh))]
                file.write("".join(f"{item_id} {at}\n" for item_id, at in fresh))
                file.flush()


NOTES = Notes()


async def handle(item_id: str) -> dict[str, str]:
    """Do what every handler does: note the run, and give the result."""
    NOTES.ran(item_id)
    if item_id.startswith(HOLD):
        await asyncio.sleep(HOLD_SECONDS)
    return result(item_id)


def handle_blocking(item_id: str) -> dict[str, str]:
    """Do the same in a thread."""
    NOTES.ran(item_id)
    if item_id.startswith(HOLD):
        time.sleep(HOLD_SECONDS)
    return result(item_id)


class Client(Protocol):
    """What the client of a peer can do."""

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue many items, the fastest way there is."""

    async def ask(self, item_id: str) -> object:
        """Enqueue one item and return its result once it is there."""

    async def kept(self, item_id: str) -> object:
        """Return the result that is kept for an item."""


Extra = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def serve(client: Client, packages: Sequence[str], extra: dict[str, Extra] | None = None) -> None:
    """Carry out commands until standard input ends.

    Args:
        client: of the peer.
        packages: whose versions to tell.
        extra: further commands by name.
    """

    async def told(command: dict[str, Any]) -> dict[str, Any]:
        ids = [f"{command['prefix']}-{number}" for number in range(command["count"])]
        match command["do"]:
            case "enqueue":
                began = time.perf_counter()
                await client.enqueue(ids)
                return {"seconds": time.perf_counter() - began}
            case "latency":
                return {"ms": await latencies(client, ids, command["rate"])}
            case "check":
                return {"wrong": [each for each in ids[:: command["every"]] if await client.kept(each) != result(each)]}
            case name:
                return await (extra or {})[name](command)

    _say({"ready": {name: version(name) for name in packages}})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _say(await told({"prefix": "", "count": 0, **json.loads(line)}))


async def latencies(client: Client, ids: Sequence[str], rate: float) -> list[float]:
    """Ask for items at a steady rate, whether results come or not.

    Returns:
        For each item the ms from its planned start to its result; those whose result is late or wrong are left out.
    """
    began = time.perf_counter() + _FLUSH_SECONDS
    found: list[float] = []

    async def ask(item_id: str, planned: float) -> None:
        if await client.ask(item_id) == result(item_id):
            found.append((time.perf_counter() - planned) * 1000)

    calls = []
    for number, item_id in enumerate(ids):
        planned = began + number / rate
        if (wait := planned - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        calls.append(asyncio.create_task(ask(item_id, planned)))
    _, late = await asyncio.wait(calls, timeout=_PATIENCE_SECONDS)
    for call in late:
        call.cancel()
    return found


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
