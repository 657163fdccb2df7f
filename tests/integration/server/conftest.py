"""Real servers and the wires to them."""

from collections.abc import Iterator

import httpx
import pytest

from support.server import ServerProcess, running_server
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


@pytest.fixture(scope="session")
def hasty_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server whose offers lapse soon, that pings often, and whose topics take three items."""
    flags = ("--offer-lease-seconds", "0.5", "--ping-seconds", "0.2", "--backlog-limit", "3")
    with running_server(tmp_path_factory.mktemp("hasty"), *flags, "--drain-seconds", "0") as address:
        yield address


@pytest.fixture
def hasty(hasty_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the hasty server."""
    with Wire(hasty_address, namespace) as wire:
        yield wire
