"""Where numbers gather until somebody asks.

Scripts tell of batches, so a meter takes many at once for the price of one; prometheus_client's own histograms take one
at a time and a lock for each. Everything runs on the event loop; only reading happens in another thread, on copies.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from bloge_server.telemetry.catalogue import Metric

Labels = tuple[str, ...]


class Numbers:
    """A counter or a gauge: one number for each set of labels."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._values: defaultdict[Labels, float] = defaultdict(float)

    def add(self, labels: Labels, number: float = 1) -> None:
        """Count."""
        self._values[labels] += number

    def replace(self, values: Mapping[Labels, float]) -> None:
        """Set every number; labels that are not named are no more."""
        self._values = defaultdict(float, values)

    def family(self) -> Family:
        """Return the numbers as they are exposed."""
        metric = self._metric
        kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
        family: CounterMetricFamily | GaugeMetricFamily = kind(metric.name, metric.text, labels=metric.labels)
        for labels, value in self._values.copy().items():
            family.add_metric(labels, value)
        return family


class Spans:
    """A histogram of seconds."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._bounds = metric.buckets
        self._counts: dict[Labels, list[float]] = {}
        """Items in each bucket, the last one unbounded, then the sum of all seconds."""

    def add(self, labels: Labels, seconds: float, number: int = 1) -> None:
        """Count so many things that took so long."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 2)
        counts[bisect_left(self._bounds, seconds)] += number
        counts[-1] += seconds * number

    def add_ms(self, labels: Labels, counts: Iterable[tuple[int, int]]) -> None:
        """Count things by their milliseconds."""
        for ms, number in counts:
            self.add(labels, ms / 1000, number)

    def family(self) -> Family:
        """Return the histogram as it is exposed."""
        metric = self._metric
        family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        bounds = [*(f"{float(bound)}" for bound in self._bounds), "+Inf"]
        for labels, counts in self._counts.copy().items():
            *buckets, seconds = counts
            family.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), seconds)
        return family


Meter = Numbers | Spans


def meter(metric: Metric) -> Meter:
    """Return a meter for a metric."""
    return Spans(metric) if metric.kind == "histogram" else Numbers(metric)
