"""Where numbers gather, and under which topic."""

from bloge_server.telemetry.catalogue import OTHER, Metric
from bloge_server.telemetry.meters import Numbers, Spans
from bloge_server.telemetry.metrics import Metrics, TopicLabels
from bloge_server.telemetry.probe import Facts

TOPIC = ("ns", "topic")


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a counter or gauge by labels."""
    for family in metrics.collect():
        if name in {family.name, f"{family.name}_total"}:
            return {tuple(sample.labels.values()): sample.value for sample in family.samples}
    raise AssertionError(f"{name} is not told")


def test_a_histogram_counts_what_is_below_each_bound() -> None:
    """A value on a bound belongs below it, many at once count like one by one."""
    spans = Spans(Metric("m", "histogram", "Text", ("a",), (0.1, 1)))
    spans.add(("x",), 0.1)
    spans.add(("x",), 0.5, 3)
    spans.add_ms(("x",), [(2000, 2), (100, 1)])
    values = {(sample.name, sample.labels.get("le")): sample.value for sample in spans.family().samples}
    assert values == {
        ("m_bucket", "0.1"): 2,
        ("m_bucket", "1.0"): 5,
        ("m_bucket", "+Inf"): 7,
        ("m_count", None): 7,
        ("m_sum", None): 0.1 + 1.5 + 4.0 + 0.1,
    }


def test_a_gauge_forgets_what_is_no_more() -> None:
    """Numbers of a topic that is gone do not stand for ever."""
    gauge = Numbers(Metric("m", "gauge", "Text", ("a",)))
    gauge.replace({("x",): 1, ("y",): 2})
    gauge.replace({("y",): 3})
    assert [(sample.labels, sample.value) for sample in gauge.family().samples] == [({"a": "y"}, 3)]


def test_topics_beyond_the_limit_are_one() -> None:
    """The first that are met keep their names for as long as the server lives."""
    labels = TopicLabels(2)
    assert [labels.of(("ns", name)) for name in "abcab"] == [
        ("ns", "a"), ("ns", "b"), (OTHER, OTHER), ("ns", "a"), ("ns", "b"),
    ]  # fmt: skip
    assert TopicLabels(0).of(TOPIC) == (OTHER, OTHER)


def test_one_event_may_be_two_facts() -> None:
    """A lost lease is a retry or a dead letter too."""
    metrics = Metrics(10, "1.0")
    events = [("retry", "LEASE_LOST", 2), ("dead_letter", "LEASE_LOST", 1), ("retry", "FAILED", 5)]
    metrics.happened(TOPIC, Facts(events, ()))
    assert samples(metrics, "bloge_lease_losses_total") == {TOPIC: 3}
    assert samples(metrics, "bloge_retries_total") == {(*TOPIC, "LEASE_LOST"): 2, (*TOPIC, "FAILED"): 5}
    assert samples(metrics, "bloge_dead_letters_total") == {(*TOPIC, "LEASE_LOST"): 1}


def test_an_event_of_a_later_release_is_ignored() -> None:
    """Servers of two releases may share a store, but a script's words are its own server's; nothing breaks."""
    metrics = Metrics(10, "1.0")
    metrics.happened(TOPIC, Facts([("evaporated", "", 1)], ()))
    assert samples(metrics, "bloge_enqueued_total") == {}
