"""Where the events of an execution are recorded."""

from collections.abc import Sequence
from typing import Protocol

from bloge_orchestrator.execution.events import Event


class Journal(Protocol):
    """Takes the events of one execution, in order."""

    async def append(self, events: Sequence[Event]) -> None:
        """Record events at once: all of them or none. Nothing is done about them before this returns."""


class MemoryJournal:
    """Keeps the events in this process, and loses them with it."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def append(self, events: Sequence[Event]) -> None:
        """Record events."""
        self.events.extend(events)
