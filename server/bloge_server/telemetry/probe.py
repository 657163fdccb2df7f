"""The one seam through which the server tells what it does: metrics, logs and tests listen to it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bloge.remote_workers.errors import Reason

Topic = tuple[str, str]
"""Namespace and worker topic."""


class Notable(NamedTuple):
    """Something that happened to one item and is worth a line in the log."""

    event: str
    word: str
    item_id: str
    worker_id: str
    """Whoever holds or last held it; `-` if nobody did."""
    fence: str
    spec: bytes
    """The item's encoded description, without its payload."""


class Refusal(NamedTuple):
    """A report that was not accepted."""

    report: str
    item_id: str
    fence: str
    reason: Reason
    superseded_by: str


class Facts(NamedTuple):
    """What one call to the store did, as the script that did it tells (`include/telling.lua`)."""

    events: Iterable[tuple[str, str, int]]
    """What happened to items: an event, a word that says more or nothing, and to how many."""
    spans: Iterable[tuple[str, Iterable[tuple[int, int]]]]
    """What took how long: milliseconds, and for how many."""
    notable: Sequence[Notable] = ()
    """The first few events that are worth a line."""


class Probe:
    """Hears what happens. This one keeps it to itself; overriding methods must be quick and never wait."""

    def called(self, script: str, seconds: float, *, failed: bool) -> None:
        """A call to the store was answered, or failed, after a time."""

    def happened(self, topic: Topic, facts: Facts) -> None:
        """A call to the store changed items of a topic. Each change is told on the server that called, and once."""

    def judged(self, topic: Topic, report: str, reason: Reason | None, count: int) -> None:
        """So many reports of a kind got the same answer; no reason: accepted."""

    def refused(self, topic: Topic, refusals: Sequence[Refusal]) -> None:
        """These reports of a batch were not accepted."""

    def swept(self, late_seconds: float) -> None:
        """A sweep began so long after it was due."""

    def loop_lagged(self, seconds: float) -> None:
        """The event loop came back so much later than it should."""

    def cancel_heard(self, seconds: float) -> None:
        """So long after it was asked to cancel an item, this server heard that the worker must stop."""


SILENT = Probe()


class Probes(Probe):
    """Tells several.

    Args:
        probes: whom.
    """

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes

    def called(self, script: str, seconds: float, *, failed: bool) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.called(script, seconds, failed=failed)

    def happened(self, topic: Topic, facts: Facts) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.happened(topic, facts)

    def judged(self, topic: Topic, report: str, reason: Reason | None, count: int) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.judged(topic, report, reason, count)

    def refused(self, topic: Topic, refusals: Sequence[Refusal]) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.refused(topic, refusals)

    def swept(self, late_seconds: float) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.swept(late_seconds)

    def loop_lagged(self, seconds: float) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.loop_lagged(seconds)

    def cancel_heard(self, seconds: float) -> None:
        """Tell each."""
        for probe in self._probes:
            probe.cancel_heard(seconds)
