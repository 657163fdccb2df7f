"""A worker in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RUN_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
"""Upper bounds of the buckets of run times, in seconds: from handlers that look something up to those that train."""


@dataclass(frozen=True, slots=True)
class HandlerStats:
    """Counters of one handler since the worker started."""

    worker_topic: str
    operator: str | None
    """None: it takes any operator that has no handler of its own."""
    ends: Mapping[str, int]
    """Runs by how they ended: `completed`, `business_error`, `failed`, `rejected`, `retry_later`, `released`, or
    `stopped` if the handler was told to stop and has nothing to report."""
    run_seconds: float
    """How long its runs have taken in all, in seconds."""
    run_counts: tuple[int, ...]
    """Runs by how long they took: one count for each bucket of `RUN_SECONDS`, and one for those that took longer."""


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """Counters of a worker since it started."""

    slots: int = 0
    """Items it may hold at once: what was set, or less if its handlers' limits let no more run."""
    held: int = 0
    """Items whose handler runs, or waits for its turn, now."""
    stopping: int = 0
    """Of these, handlers that were told to stop and have not ended."""
    done: int = 0
    """Handlers that returned an output or a business error."""
    failed: int = 0
    """Handlers that failed, rejected, or asked for a retry."""
    unknown_operators: int = 0
    """Items handed back because no handler takes their operator."""
    accepted: int = 0
    """Reports that the server accepted."""
    rejected: int = 0
    """Reports that it refused: if they are many, leases are too short or handlers overlap."""
    unverdicted: int = 0
    """Reports that wait for the server's verdict."""
    sessions: int = 0
    """Sessions that the server welcomed; each one after the first is a reconnect."""
    connected: bool = False
    """True while a session is open."""
    draining: bool = False
    """True once the worker is leaving."""
    heard_seconds_ago: float | None = None
    """Seconds since anything came from the server; None if nothing ever did."""
    loop_lag: float = 0.0
    """Seconds that the event loop last took to answer, or has not answered for now. Looked at while `async` handlers
    run."""
    verdicts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Verdicts by the kind of report (`complete`, `business_error`, `fail`, `release`) and the reason, `ACCEPTED` if
    there is none."""
    handlers: tuple[HandlerStats, ...] = ()
    """Each handler, in the order of registration."""
