"""The systems that are compared, with the best settings that were found for each."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.peers import install

Broker = Literal["bloge-embedded", "bloge-redis", "redis", "nats", "temporal"]
OURS = "bloge"
REDIS = "redis-server"


@dataclass(frozen=True, slots=True)
class System:
    """One system of the comparison. Commands may name `{slots}`."""

    name: str
    title: str
    broker: Broker
    worker: Sequence[str]
    client: Sequence[str]
    slots: int
    """How many items a worker runs at once."""
    items: int
    """How many items it drains: a few seconds' worth."""
    settings: str
    """What was set, and why."""
    rates: Sequence[int] = (50, 2000)
    """Items a second at which its latency is measured."""
    recovery_lease: float = 0.0
    """Lease in seconds for which the recovery from a killed worker is measured; 0: it is not."""

    @property
    def is_ours(self) -> bool:
        """True for each variant of ours."""
        return self.name.startswith(OURS)

    @property
    def missing(self) -> str:
        """The command that installs what is not there of it; empty if all is."""
        if not self.is_ours and not install.marker(self.name).exists():
            return f"python -m benchmarks.peers.install {self.name}"
        if self.broker in ("redis", "bloge-redis") and shutil.which(REDIS) is None:
            return f"apt-get install {REDIS}"
        return ""


def _ours(name: str, title: str, broker: Broker) -> System:
    return System(
        name,
        title,
        broker,
        [sys.executable, "-m", "benchmarks.peers.bloge.worker"],
        [sys.executable, "-m", "benchmarks.peers.bloge.client"],
        slots=2000,
        items=30_000,
        settings="2000 slots, uvloop; retries, reply group, suspend deadline, heartbeats on; 4 calls of 500 at once",
        recovery_lease=1.0,
    )


def _python(name: str, title: str, worker: Sequence[str], slots: int, items: int, settings: str) -> System:
    interpreter = str(install.python(name))
    client = [interpreter, "-m", f"benchmarks.peers.{name}.client"]
    return System(name, title, "redis", [interpreter, "-m", *worker], client, slots, items, settings, rates=(50,))


_NATS = str(install.python("nats"))
_TEMPORAL = str(install.python("temporal"))
_ASYNQ = str(install.binary("asynq", "asynq-peer"))
_BULLMQ = install.HERE / "bullmq"

SYSTEMS: Sequence[System] = (
    _ours("bloge", "ours (Redis 7.0, as the peers have it)", "bloge-redis"),
    _ours("bloge-embedded", "ours (embedded Valkey)", "bloge-embedded"),
    System(
        "bullmq",
        "BullMQ (Node)",
        "redis",
        ["node", str(_BULLMQ / "worker.mjs")],
        ["node", str(_BULLMQ / "client.mjs")],
        slots=200,
        items=30_000,
        settings="concurrency 200; addBulk of 500, 4 in flight; results kept in the job's hash",
        recovery_lease=1.0,
    ),
    System(
        "nats",
        "NATS JetStream (nats-py, uvloop)",
        "nats",
        [_NATS, "-m", "benchmarks.peers.nats.worker"],
        [_NATS, "-m", "benchmarks.peers.nats.client"],
        slots=500,
        items=30_000,
        settings="pulls of 500, explicit acks, file store synced every second; results stored in a second stream",
        recovery_lease=1.0,
    ),
    System(
        "asynq",
        "asynq (Go)",
        "redis",
        [_ASYNQ, "worker"],
        [_ASYNQ, "client"],
        slots=64,
        items=20_000,
        settings="concurrency 64; results kept; 64 enqueues in flight; results are polled for, every 2 ms",
        rates=(50,),
    ),
    _python(
        "saq",
        "saq",
        ["benchmarks.peers.saq.worker"],
        100,
        10_000,
        "concurrency 100, uvloop, hiredis; results are polled for, every 2 ms",
    ),
    _python(
        "taskiq",
        "taskiq (Redis streams)",
        [
            *("taskiq", "worker", "benchmarks.peers.taskiq.app:BROKER", "--workers", "1", "--log-level", "ERROR"),
            *("--max-async-tasks", "{slots}", "--max-prefetch", "{slots}", "--ack-type", "when_saved"),
        ],
        100,
        10_000,
        "100 at once, 500 read at once, uvloop, hiredis; results are polled for, every 2 ms",
    ),
    _python(
        "arq",
        "arq",
        ["benchmarks.peers.arq.worker"],
        100,
        8_000,
        "max_jobs 100, poll_delay 5 ms instead of 500, uvloop, hiredis; results are polled for, every 5 ms",
    ),
    _python(
        "dramatiq",
        "dramatiq",
        [
            *("dramatiq", "benchmarks.peers.dramatiq.app", "--processes", "1"),
            *("--threads", "{slots}", "--skip-logging"),
        ],
        8,
        8_000,
        "8 threads, hiredis",
    ),
    _python(
        "celery",
        "Celery (acks late)",
        [
            *("celery", "-A", "benchmarks.peers.celery.app:APP", "worker", "-P", "solo", "-l", "ERROR"),
            *("-n", "{name}", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        1,
        4_000,
        "solo pool: threads and prefork were slower for jobs that do nothing; prefetch 100, acks late, hiredis",
    ),
    System(
        "temporal",
        "Temporal (development server, SQLite)",
        "temporal",
        [_TEMPORAL, "-m", "benchmarks.peers.temporal.worker"],
        [_TEMPORAL, "-m", "benchmarks.peers.temporal.client"],
        slots=100,
        items=200,
        settings="one workflow of one activity; 100 at once, 10 pollers; SQLite file with journal_mode=wal",
        rates=(50,),
    ),
)
"""In the order in which they are measured."""

LEFT_OUT = {
    "Faktory": "the Go module proxy does not give github.com/contribsys/faktory: the version is not available there",
}
"""Systems that should be here, and why they are not."""
