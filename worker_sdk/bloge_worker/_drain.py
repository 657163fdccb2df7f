"""The phases in which a worker leaves."""

from enum import Enum, auto
from math import inf

UNWIND_TIME = 2.0
"""Seconds that cancelled handlers have to clean up before their items are handed back."""

FLUSH_TIME = 5.0
"""Seconds that the last reports have to get their verdicts."""

HURRY_TIME = 1.0
"""The same when the worker is told to stop at once."""


class Phase(Enum):
    """How far a drain has come."""

    WORKING = auto()
    FINISHING = auto()
    """No new work; handlers may end."""
    UNWINDING = auto()
    """The grace is over; handlers are cancelled."""
    FLUSHING = auto()
    """All is handed back; the last verdicts are awaited."""
    OVER = auto()


class Drain:
    """Leads from one phase to the next. The phases after WORKING end early once nothing is left to do."""

    def __init__(self) -> None:
        self.phase = Phase.WORKING
        self.deadline = inf

    @property
    def begun(self) -> bool:
        """True once the worker is leaving."""
        return self.phase is not Phase.WORKING

    def begin(self, now: float, grace: float) -> bool:
        """Begin with a grace in seconds; return False if the drain has begun already."""
        if self.begun:
            return False
        self.phase, self.deadline = Phase.FINISHING, now + grace
        return True

    def hurry(self, now: float) -> None:
        """Go to the last phase at once."""
        if self.phase not in (Phase.FLUSHING, Phase.OVER):
            self.phase, self.deadline = Phase.FLUSHING, now + HURRY_TIME

    def advance(self, now: float, *, idle: bool) -> Phase | None:
        """Return the phase that begins now, if one does.

        Args:
            now: the time.
            idle: nothing is held and no report waits for its verdict.
        """
        if self.phase is Phase.WORKING or self.phase is Phase.OVER:
            return None
        if idle or (self.phase is Phase.FLUSHING and now >= self.deadline):
            self.phase, self.deadline = Phase.OVER, inf
            return self.phase
        if now < self.deadline:
            return None
        if self.phase is Phase.FINISHING:
            self.phase, self.deadline = Phase.UNWINDING, now + UNWIND_TIME
        else:
            self.phase, self.deadline = Phase.FLUSHING, now + FLUSH_TIME
        return self.phase
