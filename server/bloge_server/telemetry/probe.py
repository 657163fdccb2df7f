"""The one seam through which the server tells what it does: metrics, logs and tests listen to it."""

from collections.abc import Iterable
from typing import NamedTuple

from bloge.remote_workers.errors import Reason

Topic = tuple[str, str]
"""Namespace and worker topic."""


class Facts(NamedTuple):
    """What one call to the store did, as the script that did it tells (`include/telling.lua`)."""

    events: Iterable[tuple[str, str, int]]
    """What happened to items: an event, a word that says more or nothing, and to how many."""
    spans: Iterable[tuple[str, Iterable[tuple[int, int]]]]
    """What took how long: milliseconds, and for how many."""


class Probe:
    """Hears what happens. This one keeps it to itself; overriding methods must be quick and never wait."""

    def called(self, script: str, seconds: float, *, failed: bool) -> None:
        """A call to the store was answered, or failed, after a time."""

    def happened(self, topic: Topic, facts: Facts) -> None:
        """A call to the store changed items of a topic. Each change is told on the server that called, and once."""

    def judged(self, topic: Topic, report: str, reason: Reason | None, count: int) -> None:
        """So many reports of a kind got the same answer; no reason: accepted."""

    def swept(self, late_seconds: float) -> None:
        """A sweep began so long after it was due."""

    def loop_lagged(self, seconds: float) -> None:
        """The event loop came back so much later than it should."""

    def cancel_heard(self, seconds: float) -> None:
        """So long after it was asked to cancel an item, this server heard that the worker must stop."""


SILENT = Probe()
