"""Curves of what happens in a topic."""

from bloge_server.http.console import curves
from bloge_server.store.throughput import NOTHING, SLOTS, Counts


def test_a_quiet_topic_has_flat_curves() -> None:
    """Along the bottom, from edge to edge."""
    found = curves.activity([NOTHING] * SLOTS)
    points = [tuple(map(float, point.split(","))) for point in found.enqueued.points.split(" ")]
    assert {y for _, y in points} == {float(curves.HEIGHT - 1)}
    assert (points[0][0], points[-1][0]) == (0.0, float(curves.WIDTH))
    assert (found.enqueued.recent, found.enqueued.total) == (0, 0)


def test_a_curve_counts_what_is_over() -> None:
    """The running slot is not full; the last minute is six slots."""
    slots = [Counts(enqueued=100), *[Counts(enqueued=index) for index in range(1, 8)], Counts(enqueued=1_000)]
    found = curves.activity(slots).enqueued
    assert (found.recent, found.total) == (2 + 3 + 4 + 5 + 6 + 7, 128)


def test_the_highest_point_touches_the_top() -> None:
    """Whatever the numbers are."""
    found = curves.activity([Counts(failed=3), Counts(failed=9), NOTHING]).failed
    assert [point.split(",")[1] for point in found.points.split(" ")][1] == "1.0"
