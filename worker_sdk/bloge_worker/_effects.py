"""What passes between the core and its shell."""

from dataclasses import dataclass, field

from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker._leases import HeldLease


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream ended."""

    code: str
    """Status code by name, or what the worker itself noticed."""
    message: str
    refused: bool = False
    """True: trying again cannot mend it."""
    retry_delay: float = 0.0
    """Seconds the server asks to wait."""


@dataclass(slots=True)
class Effects:
    """What the shell is to do now, in this order."""

    opens: list[int] = field(default_factory=list)
    """Sessions to open a stream for."""
    cancels: list[tuple[HeldLease, str]] = field(default_factory=list)
    """Handlers to stop, and why."""
    asks: list[HeldLease] = field(default_factory=list)
    """Executions whose handlers are to cancel them."""
    frames: list[tuple[int, work_stream_pb2.WorkRequest]] = field(default_factory=list)
    """Frames to send, with their session."""
    unary: list[work_stream_pb2.Reports] = field(default_factory=list)
    """Reports to make by unary calls, one batch after the other; their verdicts come back together."""
    starts: list[HeldLease] = field(default_factory=list)
    """Leases to run."""
    hand_back: bool = False
    """True: what has not started is not to start."""
    closes: list[int] = field(default_factory=list)
    """Streams to end in good order."""
    aborts: list[int] = field(default_factory=list)
    """Streams to cut."""
