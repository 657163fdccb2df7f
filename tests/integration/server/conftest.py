"""Real servers and the wires to them."""

from collections.abc import Iterator

import httpx
import pytest

from support.server import ServerProcess
from support.wire import PATIENCE, Wire


@pytest.fixture
def wire(server_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the shared server, in a namespace of the test's own."""
    with Wire(server_address, namespace) as wire:
        yield wire


@pytest.fixture
def http(server_process: ServerProcess) -> Iterator[httpx.Client]:
    """Return a client of the shared server's HTTP address."""
    with httpx.Client(base_url=f"http://{server_process.http_address}", timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def hasty(hasty_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the hasty server."""
    with Wire(hasty_address, namespace) as wire:
        yield wire
