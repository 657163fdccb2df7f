"""Every test of the protocol runs against a real control plane on a real store, and against the fake one."""

from collections.abc import Iterator

import pytest

from bloge_worker.testing import FakeControlPlane
from support.wire import Wire

REAL, FAKE = "real", "fake"


@pytest.fixture(params=[REAL, FAKE])
def wire(request: pytest.FixtureRequest, namespace: str) -> Iterator[Wire]:
    """Return a wire to a control plane, in a namespace of the test's own."""
    if request.param == REAL:
        with Wire(request.getfixturevalue("server_address"), namespace) as wire:
            yield wire
    else:
        with FakeControlPlane() as plane, Wire(plane.address, namespace) as wire:
            yield wire


@pytest.fixture(params=[REAL, FAKE])
def hasty(request: pytest.FixtureRequest, namespace: str) -> Iterator[Wire]:
    """Return a wire to a control plane whose offers lapse soon and that pings often."""
    if request.param == REAL:
        with Wire(request.getfixturevalue("hasty_address"), namespace) as wire:
            yield wire
    else:
        with FakeControlPlane(offer_lease=0.5, ping_interval=0.2) as plane, Wire(plane.address, namespace) as wire:
            yield wire
