"""A worker in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """Counters of a worker since it started."""

    held: int = 0
    """Items whose handler runs, or waits for its turn, now."""
    done: int = 0
    """Handlers that returned an output or a business error."""
    failed: int = 0
    """Handlers that failed, rejected, or asked for a retry."""
    accepted: int = 0
    """Reports that the server accepted."""
    rejected: int = 0
    """Reports that it refused: if they are many, leases are too short or handlers overlap."""
    unverdicted: int = 0
    """Reports that wait for the server's verdict."""
    sessions: int = 0
    """Sessions that the server welcomed; each one after the first is a reconnect."""
