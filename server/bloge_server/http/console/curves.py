"""What happens in a topic as curves: small ones beside a number, drawn here as SVG."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from bloge_server.store.throughput import SLOT_SECONDS, Counts

ReadCounts = Callable[[tuple[str, str]], Awaitable[list[Counts]]]
"""Returns what happened in a topic (namespace and name) lately, slot by slot, oldest first."""

WIDTH, HEIGHT = 90, 24
_RECENT = 60 // SLOT_SECONDS
"""Slots of a minute."""


class Curve(NamedTuple):
    """One curve."""

    points: str
    """As SVG's polyline takes them."""
    recent: int
    """How often in the last minute that is over."""
    total: int
    """How often in a quarter of an hour."""


class Activity(NamedTuple):
    """The curves of a topic."""

    enqueued: Curve
    completed: Curve
    failed: Curve
    accepted: Curve
    rejected: Curve
    leases_lost: Curve


def activity(slots: Sequence[Counts]) -> Activity:
    """Return the curves of a topic; the running slot is left out, for it is not full."""
    return Activity(*(_curve([slot[index] for slot in slots[:-1]]) for index in range(len(Activity._fields))))


def _curve(values: Sequence[int]) -> Curve:
    highest = max(values, default=0) or 1
    step = WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{index * step:.1f},{HEIGHT - 1 - value * (HEIGHT - 2) / highest:.1f}" for index, value in enumerate(values)
    )
    return Curve(points, sum(values[-_RECENT:]), sum(values))
