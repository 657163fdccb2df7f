"""What idle parts cost: a server with nothing to do, and one whose worker holds many leases."""

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.compare import notes
from benchmarks.compare.brokers import running
from benchmarks.compare.programs import Client, workers
from benchmarks.compare.systems import SYSTEMS
from benchmarks.peers.contract import HOLD
from benchmarks.processes import cpu_seconds, resident_bytes

_PATIENCE_SECONDS = 120.0
_SETTLE_SECONDS = 2.0


def measure(leases: int, seconds: float) -> dict[str, Any]:
    """Return what each process costs while its only worker holds leases, and nothing else happens.

    Args:
        leases: how many are held, under the default lease of 30 s; 0: there is no worker.
        seconds: for how long. What was taken together is renewed together, every 8 to 10 s: a window of only a few
            renewals holds one too many or too few, so several leases for the figures to mean anything.

    Raises:
        RuntimeError: the leases are not taken in time.
    """
    (ours,) = (system for system in SYSTEMS if system.name == "bloge-embedded")
    with tempfile.TemporaryDirectory(prefix="bloge-holding-") as name, running(ours.broker) as broker:
        noted = Path(name, "notes")
        noted.mkdir()
        slots = str(max(1, leases))
        variables = {"BENCH_STORE": broker.address, "BENCH_NOTES": str(noted), "BENCH_SLOTS": slots}
        with closing(Client(ours.client, variables, Path(name, "client.log"))) as client:
            client.ask("enqueue", prefix=HOLD if leases else "idle", count=leases or 1)
        with workers(1 if leases else 0, ours.worker, variables, Path(name)) as started:
            _until(noted, leases)
            time.sleep(_SETTLE_SECONDS)
            groups = broker.processes() | {"worker": [pid for worker in started for pid in worker.pids]}
            before = {process: cpu_seconds(*pids) for process, pids in groups.items()}
            time.sleep(seconds)
            share = {process: (cpu_seconds(*pids) - before[process]) / seconds for process, pids in groups.items()}
            resident = {process: resident_bytes(*pids) for process, pids in groups.items()}
            runs = notes.count(noted)
    if runs != leases:
        raise RuntimeError(f"{runs} runs of {leases} items: leases were lost")
    return {"leases": leases, "seconds": seconds, "cpu_share": share, "resident_bytes": resident}


def _until(noted: Path, leases: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while notes.count(noted) < leases:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{notes.count(noted)} of {leases} leases were taken in {_PATIENCE_SECONDS:.0f} s")
        time.sleep(0.1)
