"""Real servers and the wires to them."""

from collections.abc import Iterator

import pytest

from support.wire import Wire


@pytest.fixture
def wire(server_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the shared server, in a namespace of the test's own."""
    with Wire(server_address, namespace) as wire:
        yield wire


@pytest.fixture
def hasty(hasty_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the hasty server."""
    with Wire(hasty_address, namespace) as wire:
        yield wire
