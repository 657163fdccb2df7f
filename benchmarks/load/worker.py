"""A worker of a load: its handler does what each item's script says, and notes every run.

A note is a line `number attempt`, written before the handler begins; `number attempt cut` follows if it is stopped.
Each goes straight to the system, so that a killed process loses none.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.load.ledger import Run
from bloge_worker import BusinessError, WorkContext, Worker

BUSINESS_CODE = "SCRIPTED"


class ScriptedFailure(Exception):  # noqa: N818 - names what it is in reports
    """The item's script says that this attempt fails."""


class Script:
    """Runs items as their scripts say.

    Args:
        notes: open file descriptor, for appending.
    """

    def __init__(self, notes: int) -> None:
        self._notes = notes

    async def handle(self, input: dict[str, Any], ctx: WorkContext) -> dict[str, Any]:  # noqa: A002 - the SDK names it so
        """Run one item."""
        note = f"{input['item']} {ctx.attempt}"
        os.write(self._notes, f"{note}\n".encode())
        if input["crash"] and ctx.claim_count == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            if input["ms"]:
                await asyncio.sleep(input["ms"] / 1000)
        except asyncio.CancelledError:
            os.write(self._notes, f"{note} cut\n".encode())
            raise
        if ctx.attempt <= input["fail"]:
            raise ScriptedFailure(f"attempt {ctx.attempt} of item {input['item']}")
        if input["business"]:
            raise BusinessError(BUSINESS_CODE)
        return {"item": input["item"]}


def read_notes(path: Path, *, killed: bool) -> Iterator[Run]:
    """Yield the runs that a worker noted.

    Args:
        path: its notes; none if it never ran one.
        killed: its process was killed: each of its runs may have been unreported, and cut.
    """
    words = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    stopped = Counter((item, attempt) for item, attempt, *cut in words if cut)
    for item, attempt, *cut in words:
        if cut:
            continue
        was_cut = stopped[item, attempt] > 0
        stopped[item, attempt] -= was_cut
        yield Run(int(item), int(attempt), killed or was_cut)


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--topics", nargs="+", required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--lease-seconds", type=float, default=0.0)
    parser.add_argument("--notes", type=Path, required=True)
    options = parser.parse_args()
    worker = Worker(options.address, slots=options.slots, lease_duration=options.lease_seconds or None, drain_grace=10)
    notes = os.open(options.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for topic in options.topics:
        worker.handler(topic)(Script(notes).handle)
    uvloop.run(_work(worker))


async def _work(worker: Worker) -> None:
    """Work until SIGTERM; say `ready` once the server has welcomed the worker."""
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        await asyncio.sleep(0)  # it runs from here on, and can be waited for
        await worker.connected()
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
