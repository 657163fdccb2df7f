"""What is counted: a probe that turns what happens into the numbers of the catalogue."""

from collections.abc import Iterable, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family

from bloge.remote_workers.errors import Reason
from bloge_server.telemetry.catalogue import CATALOGUE, OTHER
from bloge_server.telemetry.meters import Labels, Numbers, Spans, meter
from bloge_server.telemetry.probe import Facts, Probe, Topic

_SPANS = {"wait": "bloge_queue_wait_seconds", "run": "bloge_run_seconds", "total": "bloge_end_to_end_seconds"}
_ACTIONS = frozenset({"replayed", "adopted", "discarded"})
_COUNTERS = {
    "enqueued": "bloge_enqueued_total",
    "claimed": "bloge_claims_total",
    "outcome": "bloge_outcomes_total",
    "retry": "bloge_retries_total",
    "dead_letter": "bloge_dead_letters_total",
    "late_output": "bloge_late_outputs_total",
}
_ALSO = {
    ("retry", "LEASE_LOST"): "bloge_lease_losses_total",
    ("dead_letter", "LEASE_LOST"): "bloge_lease_losses_total",
    ("retry", "OFFER_EXPIRED"): "bloge_receipts_missed_total",
}
"""Events of scripts and what they count as; the word of an event is the counter's last label."""
_REPORTS = {"receive": "receipt"}
"""Reports whose script is called otherwise."""


class TopicLabels:
    """Which topics have numbers of their own: the first that are met, up to a limit; the others share one name.

    Args:
        limit: most topics.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[Topic, Labels] = {}

    def of(self, topic: Topic) -> Labels:
        """Return the labels of a topic."""
        labels = self._known.get(topic)
        if labels is not None:
            return labels
        if len(self._known) >= self._limit:
            return (OTHER, OTHER)
        self._known[topic] = topic
        return topic


class Metrics(Probe):
    """Counts what happens, and exposes it.

    Args:
        max_topics: how many topics have numbers of their own.
        version: of the server.
    """

    def __init__(self, max_topics: int, version: str) -> None:
        self.topics = TopicLabels(max_topics)
        self._meters = {metric.name: meter(metric) for metric in CATALOGUE}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        self.set("bloge_build_info", {(version,): 1})

    def collect(self) -> Iterable[Family]:
        """Yield every metric, for the registry."""
        for each in self._meters.values():
            yield each.family()

    def set(self, name: str, values: Mapping[Labels, float]) -> None:
        """Set a gauge, all its labels at once."""
        self._numbers(name).replace(values)

    def called(self, script: str, seconds: float, *, failed: bool) -> None:
        """Count a call to the store."""
        self._spans("bloge_store_call_seconds").add((script,), seconds)
        if failed:
            self._numbers("bloge_store_failures_total").add((script,))

    def happened(self, topic: Topic, facts: Facts) -> None:
        """Count what a call did."""
        labels = self.topics.of(topic)
        for event, word, number in facts.events:
            for name, label in _counted(event, word):
                self._numbers(name).add((*labels, label) if label else labels, number)
        for span, counts in facts.spans:
            self._spans(_SPANS[span]).add_ms(labels, counts)

    def judged(self, topic: Topic, report: str, reason: Reason | None, count: int) -> None:
        """Count answers to reports."""
        labels = (*self.topics.of(topic), _REPORTS.get(report, report))
        if reason is None:
            self._numbers("bloge_reports_accepted_total").add(labels, count)
        else:
            self._numbers("bloge_reports_rejected_total").add((*labels, reason.value), count)

    def swept(self, late_seconds: float) -> None:
        """Count a sweep by how late it began."""
        self._spans("bloge_sweep_lag_seconds").add((), late_seconds)

    def loop_lagged(self, seconds: float) -> None:
        """Count how late the event loop came back."""
        self._spans("bloge_event_loop_lag_seconds").add((), seconds)

    def cancel_heard(self, seconds: float) -> None:
        """Count how long a cancellation took to be heard."""
        self._spans("bloge_cancel_latency_seconds").add((), seconds)

    def _numbers(self, name: str) -> Numbers:
        found = self._meters[name]
        assert isinstance(found, Numbers)
        return found

    def _spans(self, name: str) -> Spans:
        found = self._meters[name]
        assert isinstance(found, Spans)
        return found


@cache
def _counted(event: str, word: str) -> list[tuple[str, str]]:
    """Return the counters that an event of a script moves, each with its last label; none but the topic's: empty."""
    if event in _ACTIONS:
        return [("bloge_dead_letter_actions_total", event)]
    counters = [(_COUNTERS[event], word)] if event in _COUNTERS else []
    if (event, word) in _ALSO:
        counters.append((_ALSO[event, word], ""))
    return counters
