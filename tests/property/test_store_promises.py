"""Random histories on a real store: after each step it answers and stands as the model says, and the promises hold."""

import asyncio
import os

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from bloge_server.store import connection
from support.releases import next_release

from .histories import Histories
from .pair import PRESENT, Place, Release

LONG = bool(os.environ.get("LONG"))
PLANTED = bool(os.environ.get("PLANTED"))
"""Whether a defect is planted: it deserves more histories, and needs no shrinking."""
NEXT = Release(next_release, frozenset("12"))


@pytest.mark.timeout(0 if LONG else 480)  # a history that fails is made short before it is shown
@pytest.mark.parametrize(("kind", "quick"), [("single", 100), ("cluster", 20)])
def test_two_servers_keep_the_promises(request: pytest.FixtureRequest, kind: str, quick: int) -> None:
    """No history of enqueues, claims, reports, operations, sweeps and clock steps differs from what the model says."""
    url = request.getfixturevalue("store_url") if kind == "single" else request.getfixturevalue("cluster").url
    walk(url, (PRESENT, PRESENT), quick=quick)


@pytest.mark.timeout(0 if LONG else 480)  # a history that fails is made short before it is shown
def test_promises_hold_while_servers_are_replaced(store_url: str) -> None:
    """Nor does one in which servers of two adjacent releases take turns."""
    walk(store_url, (PRESENT, NEXT), quick=50)


def walk(store_url: str, releases: tuple[Release, Release], *, quick: int) -> None:
    """Walk many histories, the usual number or a few."""
    many, length = (2000, 100) if LONG else (5 * quick if PLANTED else quick, 70)
    phases = (Phase.generate,) if PLANTED else tuple(Phase)
    steps = settings(
        max_examples=many, stateful_step_count=length, deadline=None, report_multiple_bugs=False, phases=phases
    )
    place = Place(asyncio.new_event_loop(), connection.connect(store_url), releases)
    try:
        run_state_machine_as_test(type("Walk", (Histories,), {"place": place}), settings=steps)
    finally:
        place.loop.run_until_complete(place.client.aclose())
        place.loop.close()
