"""A worker's numbers for Prometheus. Needs the extra: `pip install 'bloge-worker-sdk[metrics]'`.

With a health port the worker serves them at `/metrics` by itself. To serve them elsewhere, register the collector:

prometheus_client.REGISTRY.register(WorkerCollector(worker))
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

try:
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "metrics need prometheus_client; install them with: pip install 'bloge-worker-sdk[metrics]'",
        name=missing.name,
    ) from missing

from bloge_worker.stats import RUN_SECONDS, HandlerStats, WorkerStats

METRICS = {
    "bloge_worker_slots": "Items the worker may hold at once.",
    "bloge_worker_held_leases": "Items whose handler runs, or waits for its turn.",
    "bloge_worker_stopping_handlers": "Handlers that were told to stop and have not ended; threads cannot be made to.",
    "bloge_worker_connected": "1 while a session is open.",
    "bloge_worker_draining": "1 once the worker is leaving.",
    "bloge_worker_silence_seconds": "Time since anything came from the server. Missing until something did.",
    "bloge_worker_event_loop_lag_seconds": "How long the event loop last took to answer, or has not answered for now.",
    "bloge_worker_unverdicted_reports": "Reports that wait for the server's verdict.",
    "bloge_worker_sessions_total": "Sessions that the server welcomed.",
    "bloge_worker_reconnects_total": "Sessions after the first.",
    "bloge_worker_unknown_operators_total": "Items handed back because no handler takes their operator.",
    "bloge_worker_handler_ends_total": "Runs of handlers, by how they ended.",
    "bloge_worker_reports_total": "Reports by their kind and the server's verdict: ACCEPTED, or why it refused.",
    "bloge_worker_run_seconds": "How long runs of handlers took.",
}
"""Every metric and what it says."""

_HANDLER_LABELS = ["worker_topic", "operator"]
ANY_OPERATOR = "*"
"""Label of a handler that takes any operator. Operators come from the outside; only those that handlers name are
labels, so that the number of series is bounded."""


class Counted(Protocol):
    """Whatever has a worker's counters; a `Worker`."""

    def stats(self) -> WorkerStats:
        """Return the counters so far."""


class WorkerCollector(Collector):
    """Reads a worker's counters when it is scraped; in between it costs nothing.

    Args:
        worker: whose counters to tell. Two workers of one process need a registry each.
    """

    def __init__(self, worker: Counted) -> None:
        self._worker = worker

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of `METRICS`."""
        stats = self._worker.stats()
        yield from _gauges(stats)
        yield _counter("bloge_worker_sessions_total", stats.sessions)
        yield _counter("bloge_worker_reconnects_total", max(0, stats.sessions - 1))
        yield _counter("bloge_worker_unknown_operators_total", stats.unknown_operators)
        yield _ends(stats.handlers)
        yield _reports(stats)
        yield _run_seconds(stats.handlers)


def exposition(worker: Counted) -> bytes:
    """Return a worker's metrics, and those of the default registry, in the text format.

    If the program has registered the worker's collector there, it is told once.
    """
    own = CollectorRegistry()
    own.register(WorkerCollector(worker))
    default: bytes = generate_latest(REGISTRY)
    return default if b"bloge_worker_slots" in default else default + generate_latest(own)


def _gauges(stats: WorkerStats) -> Iterator[Metric]:
    values = {
        "bloge_worker_slots": stats.slots,
        "bloge_worker_held_leases": stats.held,
        "bloge_worker_stopping_handlers": stats.stopping,
        "bloge_worker_connected": stats.connected,
        "bloge_worker_draining": stats.draining,
        "bloge_worker_silence_seconds": stats.heard_seconds_ago,
        "bloge_worker_event_loop_lag_seconds": stats.loop_lag,
        "bloge_worker_unverdicted_reports": stats.unverdicted,
    }
    for name, value in values.items():
        yield GaugeMetricFamily(name, METRICS[name], value=None if value is None else float(value))


def _counter(name: str, value: int) -> Metric:
    return CounterMetricFamily(name, METRICS[name], value=value)


def _ends(handlers: Iterable[HandlerStats]) -> Metric:
    name = "bloge_worker_handler_ends_total"
    family = CounterMetricFamily(name, METRICS[name], labels=[*_HANDLER_LABELS, "end"])
    for handler in handlers:
        for end, count in handler.ends.items():
            family.add_metric([*_labels_of(handler), end], count)
    return family


def _reports(stats: WorkerStats) -> Metric:
    name = "bloge_worker_reports_total"
    family = CounterMetricFamily(name, METRICS[name], labels=["kind", "verdict"])
    for labels, count in sorted(stats.verdicts.items()):
        family.add_metric(list(labels), count)
    return family


def _run_seconds(handlers: Iterable[HandlerStats]) -> Metric:
    name = "bloge_worker_run_seconds"
    family = HistogramMetricFamily(name, METRICS[name], labels=_HANDLER_LABELS)
    for handler in handlers:
        family.add_metric(_labels_of(handler), _buckets(handler.run_counts), sum_value=handler.run_seconds)
    return family


def _buckets(counts: Iterable[int]) -> list[tuple[str, float]]:
    """Return cumulative counts by upper bound, as the format wants them."""
    bounds = [*(str(bound) for bound in RUN_SECONDS), "+Inf"]
    totals: list[tuple[str, float]] = []
    so_far = 0
    for bound, count in zip(bounds, counts, strict=True):
        so_far += count
        totals.append((bound, so_far))
    return totals


def _labels_of(handler: HandlerStats) -> list[str]:
    return [handler.worker_topic, handler.operator or ANY_OPERATOR]
