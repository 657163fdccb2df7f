"""One visit to one system: everything is started, measured, checked and stopped."""

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.compare import notes
from benchmarks.compare.brokers import Running, running
from benchmarks.compare.programs import Client, Stalled, Worker, workers
from benchmarks.compare.systems import System
from benchmarks.peers.contract import HOLD
from benchmarks.processes import cpu_seconds
from benchmarks.samples import Spread

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.1
_WARM_UP = 25
_CHECKED = 200
"""Kept results that are read after a drain."""
_LOOKS, _MOMENT_SECONDS = 5, 1.0
_HELD = 10


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    share: float
    """Of each system's own number of items to drain."""
    latency_seconds: float
    workers: tuple[int, ...] = (1, 2)
    recovery: bool = True

    def items(self, system: System) -> int:
        """Return how many items a system drains."""
        return max(50, int(system.items * self.share))


FULL = Sizes(share=1.0, latency_seconds=5.0)
SMOKE = Sizes(share=0.01, latency_seconds=0.5, workers=(1,))


@dataclass(slots=True)
class Visit:
    """What was measured."""

    system: str
    title: str
    settings: str
    slots: int
    items: int
    versions: dict[str, str] = field(default_factory=dict)
    enqueue_per_s: float = 0.0
    stored_bytes_per_item: float = 0.0
    drain_per_s: dict[int, float] = field(default_factory=dict)
    """By number of worker processes."""
    cpu_us_per_item: dict[int, dict[str, float]] = field(default_factory=dict)
    """By number of worker processes, then by what a process is."""
    latency_ms: dict[int, Spread | None] = field(default_factory=dict)
    """By items a second."""
    recovery_s: float | None = None
    """From `kill -9` of a worker until the last of its items ran elsewhere."""
    problems: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


class Visitor:
    """Measures one system on a broker that runs.

    Args:
        system: what is measured.
        broker: where it keeps its items.
        folder: for notes and logs.
        visit: takes what is measured.
    """

    def __init__(self, system: System, broker: Running, folder: Path, visit: Visit) -> None:
        self._system = system
        self._broker = broker
        self._folder = folder
        self._visit = visit
        self._variables = {"BENCH_STORE": broker.address, "BENCH_SLOTS": str(system.slots)}
        self._client = Client(system.client, self._variables, folder / "client.log")
        visit.versions = self._client.versions

    def close(self) -> None:
        """End the client."""
        self._client.close()

    def drain(self, count: int, number: int) -> None:
        """Enqueue a backlog, let so many workers work it off, and check what they did.

        Args:
            count: of items.
            number: of worker processes.
        """
        visit, prefix = self._visit, f"drain{number}"
        before = self._broker.stored_bytes()
        seconds = self._client.ask("enqueue", prefix=prefix, count=count)["seconds"]
        if not visit.enqueue_per_s:
            visit.enqueue_per_s = count / seconds
            visit.stored_bytes_per_item = (self._broker.stored_bytes() - before) / count
        if self._system.is_ours:
            self._client.tell("collect", count=count)
        with self._workers(number, prefix) as started:
            # From the first runs on: what a process spends on its start says nothing of an item.
            self._wait(prefix, lambda: notes.count(self._notes(prefix)))
            ran, used = notes.count(self._notes(prefix)), self._processor_time(started)
            self._wait(prefix, lambda: notes.count(self._notes(prefix)), count)
            # Ours counts until the outcomes have arrived at the client, which is more than the others are asked for.
            ended = self._client.reply()["last"] if self._system.is_ours else None
            spent = {name: now - used[name] for name, now in self._processor_time(started).items()}
            self._check(prefix, count)
        noted = notes.read(self._notes(prefix))
        visit.drain_per_s[number] = notes.rate(noted, ended)
        visit.cpu_us_per_item[number] = {name: cpu / max(1, count - ran) * 1e6 for name, cpu in spent.items()}
        visit.problems += [f"{prefix}: {problem}" for problem in notes.problems(noted, prefix, count)]

    def _check(self, prefix: str, count: int) -> None:
        """Read some of the kept results; a handler ends before its result is kept, so give that a moment."""
        wrong: list[str] = []
        for _ in range(_LOOKS):
            wrong = self._client.ask("check", prefix=prefix, count=count, every=max(1, count // _CHECKED))["wrong"]
            if not wrong:
                return
            time.sleep(_MOMENT_SECONDS)
        self._visit.problems.append(f"{prefix}: {len(wrong)} kept results are wrong, for example of {wrong[0]}")

    def latency(self, rate: int, seconds: float) -> None:
        """Measure the time from enqueue to result at a steady rate."""
        prefix, count = f"at{rate}", max(10, int(rate * seconds))
        with self._workers(1, prefix):
            # Workers take a moment to start, and first calls are slow on both sides.
            warm_up = self._client.ask("latency", prefix=f"warm{rate}", count=_WARM_UP, rate=50)["ms"]
            found = self._client.ask("latency", prefix=prefix, count=count, rate=rate)["ms"]
        self._visit.latency_ms[rate] = Spread.of(found)
        if len(found) < count or len(warm_up) < _WARM_UP:
            self._visit.problems.append(f"{prefix}: {count - len(found)} of {count} results did not come in time")

    def recover(self, lease_seconds: float) -> None:
        """Kill a worker that holds items, and measure how long they wait for another."""
        self._variables["BENCH_LEASE_SECONDS"] = str(lease_seconds)
        with self._workers(1, HOLD) as (first,):
            self._client.ask("enqueue", prefix=HOLD, count=_HELD)
            self._wait(HOLD, lambda: notes.count(self._notes(HOLD)), _HELD)
            with self._workers(1, HOLD):
                time.sleep(1 + lease_seconds)  # it is there, and has tried to get something, before the other dies
                killed = time.time_ns() // 1000
                first.kill()
                self._wait(HOLD, lambda: len(notes.ran_since(self._notes(HOLD), killed)), _HELD)
        self._visit.recovery_s = (max(notes.ran_since(self._notes(HOLD), killed).values()) - killed) / 1e6

    def _workers(self, number: int, phase: str) -> AbstractContextManager[list[Worker]]:
        """Return workers that note their runs in the folder of a phase."""
        self._notes(phase).mkdir(exist_ok=True)
        command = [word.replace("{slots}", str(self._system.slots)) for word in self._system.worker]
        return workers(number, command, {**self._variables, "BENCH_NOTES": str(self._notes(phase))}, self._folder)

    def _notes(self, phase: str) -> Path:
        return self._folder / f"notes-{phase}"

    def _processor_time(self, started: list[Worker]) -> dict[str, float]:
        pids = {**self._broker.processes(), "client": [self._client.pid]}
        pids["workers"] = [pid for worker in started for pid in worker.pids]
        return {name: cpu_seconds(*found) for name, found in pids.items()}

    def _wait(self, phase: str, noted: Callable[[], int], runs: int = 1) -> None:
        """Wait until so many runs are noted in a phase.

        Raises:
            Stalled: nothing happens any more.
        """
        seen, deadline = 0, time.monotonic() + _PATIENCE_SECONDS
        while (now := noted()) < runs:
            if now > seen:
                seen, deadline = now, time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() > deadline:
                raise Stalled(f"{now} of {runs} runs in {phase}, and then nothing for {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)


def visit(system: System, sizes: Sizes) -> Visit:
    """Measure one system; what goes wrong stands in the result.

    Args:
        system: what is measured.
        sizes: how much.
    """
    count = sizes.items(system)
    found = Visit(system.name, system.title, system.settings, system.slots, count)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bloge-bench-visit-") as folder,
            running(system.broker) as broker,
            closing(Visitor(system, broker, Path(folder), found)) as visitor,
        ):
            for number in sizes.workers:
                visitor.drain(count, number)
            for rate in system.rates:
                visitor.latency(rate, sizes.latency_seconds)
            if sizes.recovery and system.recovery_lease:
                visitor.recover(system.recovery_lease)
    except (RuntimeError, OSError) as error:
        found.problems.append(f"the visit broke off: {error}")
    return found
