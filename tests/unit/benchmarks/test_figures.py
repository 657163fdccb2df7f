"""Figures from samples, and how they are shown."""

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from benchmarks.load.figures import Moments, compute
from benchmarks.load.ledger import Ledger, Run, settle
from benchmarks.load.page import page
from benchmarks.load.plan import draw
from benchmarks.load.profiles import Outage
from benchmarks.load.report import progress, summary
from benchmarks.load.sampler import Sample, TopicSample
from benchmarks.samples import Spread, percentile, slope
from benchmarks.svg import Bar, Line, bars, lines, number, ticks

MEBIBYTE = 2**20


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.5, 50), (0.95, 95), (0.99, 99), (0.991, 100), (1, 100)])
def test_a_percentile_is_a_sample(share: float, expected: int) -> None:
    """The smallest that so many do not exceed."""
    assert percentile(range(1, 101), share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    """And so is a share that is none."""
    with pytest.raises(ValueError, match="0 samples"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="percentile 50"):
        percentile([1.0], 50)
    assert Spread.of([]) is None


def test_a_slope_is_that_of_the_best_line() -> None:
    """Of exact lines their own; of one point none."""
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(0, 0), (1, 1), (2, 0)]) == pytest.approx(0)
    assert slope([(1, 1)]) == slope([]) == 0


@pytest.mark.parametrize(
    ("highest", "expected"),
    [(1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (7, [0, 2, 4, 6, 8]), (90, [0, 20, 40, 60, 80, 100])],
)
def test_axes_have_round_marks(highest: float, expected: list[float]) -> None:
    """From 0 on, over the highest value."""
    assert ticks(highest) == pytest.approx(expected)
    assert ticks(0) == [0, 1]


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.0123, "0.0123"), (1.5, "1.5"), (12.34, "12.3"), (1234.5, "1,234"), (-2.5, "-2.5")]
)
def test_numbers_are_as_exact_as_they_are_worth(value: float, shown: str) -> None:
    """Three digits, thousands apart."""
    assert number(value) == shown


def test_plots_are_well_formed_and_ask_nobody() -> None:
    """Names are text, whatever they hold; the only address is the namespace of SVG."""
    drawn = lines("A < B", "ms", [Line("<script>", [(0, 1), (1, 3)]), Line("none", [])])
    drawn_bars = bars("Rates", "items/s", [Bar("ours & theirs", 3, stands_out=True), Bar("b", 1)])
    for text in (drawn, drawn_bars):
        assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert text.count("http") == 1
    assert "<script>" not in drawn


def outage_run() -> tuple[Ledger, list[Sample]]:
    """Return a run of 3 seconds: items arrive at 0, 1 and 2 s, no workers from 1 to 2 s."""
    book = Ledger(draw(Outage(arrivals="fixed", rate=1, duration=3)))
    book.enqueued = 3
    for item, at in enumerate((0.5, 2.25, 2.5)):
        book.end(item, "completed", at)
    samples = [
        Sample(float(at), at, at, {"load": TopicSample(claimed=at)}, {"server": cpu}, {"server": at * MEBIBYTE})
        for at, cpu in enumerate((1.0, 1.5, 0.25, 0.5))
    ]
    return book, samples


def test_an_outage_is_told_from_its_end_to_the_last_item_that_had_waited() -> None:
    """The item that arrived at 2 s waited for the workers too."""
    book, samples = outage_run()
    accounts = settle(book, [Run(item, 1, cut=False) for item in range(3)])
    figures = compute(book, accounts, Moments(0, 0, 1.0, 2.0), samples, [0.5])
    assert figures.drained_after == pytest.approx(0.5)
    assert figures.most_claimed == 3
    assert figures.ends_per_second == pytest.approx(1.5)
    # From 1.5 to 0.25 a process was replaced: what it had used by then stays counted.
    assert figures.cpu_share["server"] == pytest.approx(0.75 / 3)


def test_a_report_says_what_went_wrong() -> None:
    """In the text and on the page, which asks nobody for anything."""
    book, samples = outage_run()
    figures = compute(book, settle(book, []), Moments(0, 0, 1.0, 2.0), samples, [])
    text = "\n".join(summary(figures))
    assert "PROBLEM: 3 items ran less often than planned" in text
    assert "every item ended exactly once" not in text
    shown = page(figures, samples, {"cores": "2"})
    HTMLParser().feed(shown)
    assert "PROBLEM: 3 items" in shown
    assert "src=" not in shown
    assert "<svg" in shown


def test_a_second_fits_a_line() -> None:
    """With rates since the line before."""
    _, samples = outage_run()
    assert "in      1/s  out      1/s" in progress(samples[0], samples[1])
