"""A worker process that a test conducts: `python -m support.conducted_worker ADDRESS NAMESPACE [flags]`.

It says what it does on standard output, one line each: `connected`, `begin ITEM FENCE`, `end ITEM FENCE`,
`stop ITEM FENCE SECONDS` (when, on the monotonic clock), `healthy` and `sick` as that changes. It hears on standard
input: `go ITEM` lets the handler of an item return.
"""

import argparse
import asyncio
import logging
import sys
import threading
import time
from collections import defaultdict
from typing import Any

from bloge_worker import BusinessError, WorkContext, Worker

TOPIC = "topic"
_PROBE_SECONDS = 0.05


class Gates:
    """One gate for each item, opened from outside."""

    def __init__(self) -> None:
        self._gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._lock = threading.Lock()

    def of(self, item_id: str) -> threading.Event:
        """Return an item's gate."""
        with self._lock:
            return self._gates[item_id]

    def listen(self) -> None:
        """Open gates as standard input says."""
        for line in sys.stdin:
            verb, _, item_id = line.strip().partition(" ")
            if verb == "go":
                self.of(item_id).set()


def say(*words: object) -> None:
    """Tell the test, in one piece whatever other threads say."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Handlers:
    """One operator for each thing that a test wants to see.

    Args:
        gates: what some of them wait for.
        worker_id: what their output says.
    """

    def __init__(self, gates: Gates, worker_id: str) -> None:
        self._gates = gates
        self._worker_id = worker_id

    def register(self, worker: Worker) -> None:
        """Have a worker run them."""
        for name in ("echo", "nap", "gate", "async_gate", "block", "spin", "fail", "refuse"):
            worker.handler(TOPIC, operator=name)(getattr(self, name))

    async def echo(self, ctx: WorkContext) -> object:
        """Return at once."""
        self._begin(ctx)
        return self._end(ctx)

    async def nap(self, seconds: float, ctx: WorkContext) -> object:
        """Take a moment."""
        self._begin(ctx)
        await asyncio.sleep(seconds)
        return self._end(ctx)

    def gate(self, ctx: WorkContext) -> object:
        """Wait in a thread that nothing stops."""
        self._begin(ctx)
        self._gates.of(ctx.item_id).wait()
        return self._end(ctx)

    async def async_gate(self, ctx: WorkContext) -> object:
        """Wait until it is let through or cancelled; never say a word to the server meanwhile."""
        self._begin(ctx)
        try:
            await asyncio.to_thread(_wait_in_steps, self._gates.of(ctx.item_id), ctx)
        except asyncio.CancelledError:
            say("stop", ctx.item_id, ctx.fence, time.monotonic())
            raise
        return self._end(ctx)

    async def block(self, seconds: float, ctx: WorkContext) -> object:
        """Keep the event loop from turning."""
        self._begin(ctx)
        time.sleep(seconds)  # noqa: ASYNC251 - the point of the handler
        return self._end(ctx)

    async def spin(self, seconds: float, ctx: WorkContext) -> object:
        """Keep the event loop from turning, and a processor busy."""
        self._begin(ctx)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            sum(range(1000))
        return self._end(ctx)

    async def fail(self, ctx: WorkContext) -> object:
        """Report a failure that may be retried."""
        self._begin(ctx)
        raise ValueError("as the test says")

    async def refuse(self, ctx: WorkContext) -> object:
        """Report a business error."""
        self._begin(ctx)
        raise BusinessError("REFUSED", "as the test says")

    def _begin(self, ctx: WorkContext) -> None:
        say("begin", ctx.item_id, ctx.fence)

    def _end(self, ctx: WorkContext) -> dict[str, Any]:
        say("end", ctx.item_id, ctx.fence)
        return {"by": self._worker_id, "fence": ctx.fence}


def _wait_in_steps(gate: threading.Event, ctx: WorkContext) -> None:
    """Wait for a gate, but not in a thread that outlives a cancelled run for long."""
    while not gate.wait(0.05) and not ctx.cancelled:
        pass


async def run(worker: Worker) -> None:
    """Work until told to stop, and say when there is a session."""
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    await worker.connected()
    say("connected")
    watching = asyncio.create_task(watch_health(worker))
    await running
    watching.cancel()


async def watch_health(worker: Worker) -> None:
    """Say when a liveness probe would begin to fail, and to succeed again."""
    told = False
    while True:
        if worker.healthy is not told:
            told = worker.healthy
            say("healthy" if told else "sick")
        await asyncio.sleep(_PROBE_SECONDS)


def main() -> None:
    """Read the flags and work."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("namespace")
    parser.add_argument("--worker-id", required=True)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--lease", type=float, default=None)
    parser.add_argument("--grace", type=float, default=5.0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    gates = Gates()
    threading.Thread(target=gates.listen, daemon=True).start()
    worker = Worker(
        options.address,
        namespace=options.namespace,
        worker_id=options.worker_id,
        slots=options.slots,
        lease_duration=options.lease,
        drain_grace=options.grace,
    )
    Handlers(gates, options.worker_id).register(worker)
    asyncio.run(run(worker))


if __name__ == "__main__":
    main()
