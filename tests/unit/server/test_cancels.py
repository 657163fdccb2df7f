"""How long cancellations take."""

import pytest

from bloge_server.services import cancels
from bloge_server.services.cancels import CancelWatch
from bloge_server.telemetry.probe import Probe

TOPIC = ("ns", "topic")


class Heard(Probe):
    """Keeps what it is told; its clock stands until it is set."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self.now = 0.0

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def cancel_heard(self, seconds: float) -> None:
        """Take note."""
        self.told.append(seconds)


@pytest.fixture
def heard() -> Heard:
    """Return what keeps what it is told."""
    return Heard()


def test_it_takes_from_the_call_to_the_order_to_stop(heard: Heard) -> None:
    """Once for each item; stops for other reasons are no cancellations."""
    watch = CancelWatch(heard, heard.clock)
    watch.asked(TOPIC, ["a", "b"])
    heard.now = 0.25
    watch.heard(TOPIC, "w1", "a", "7", "DEADLINE_PASSED")
    watch.heard(TOPIC, "w1", "b", "7", "CANCELLED")
    watch.heard(TOPIC, "w1", "b", "7", "CANCELLED")
    watch.heard(("ns", "other"), "w1", "a", "7", "CANCELLED")
    assert heard.told == [0.25]


def test_items_that_nobody_runs_are_forgotten(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no order to stop; neither time nor number lets them pile up."""
    monkeypatch.setattr(cancels, "_MOST", 2)
    watch = CancelWatch(heard, heard.clock)
    watch.asked(TOPIC, ["a", "b", "c"])
    heard.now = 100.0
    watch.heard(TOPIC, "w1", "a", "7", "CANCELLED")
    watch.asked(TOPIC, ["d"])
    watch.heard(TOPIC, "w1", "b", "7", "CANCELLED")
    assert heard.told == []
