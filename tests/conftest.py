"""Fixtures of all tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.cluster import ClusterProcesses, running_cluster
from support.server import ServerProcess, running_process, running_server
from support.store_process import running_store

# Timing on shared machines says nothing about the code: examples have no deadline of their own.
settings.register_profile("quick", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own settings out of the tests."""
    for name in os.environ:
        if name.startswith("BLOGE_") and name != "BLOGE_TEST_STORE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real store that all tests share; each test uses a namespace of its own."""
    with running_store(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterProcesses]:
    """Return a cluster that all tests share; each test uses a namespace of its own."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as processes:
        yield processes


@pytest.fixture(scope="session")
def server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return a control plane that all tests share; each test uses a namespace of its own."""
    with running_process(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def server_address(server_process: ServerProcess) -> str:
    """Address of the control plane that all tests share."""
    return server_process.address


@pytest.fixture(scope="session")
def hasty_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server whose offers lapse soon, that pings often, and whose topics take three items."""
    flags = ("--offer-lease-seconds", "0.5", "--ping-seconds", "0.2", "--backlog-limit", "3")
    with running_server(tmp_path_factory.mktemp("hasty"), *flags, "--drain-seconds", "0") as address:
        yield address


@pytest.fixture
def namespace(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a namespace that no other test uses."""
    return f"{request.node.name[:60]}-{tmp_path.name}".replace("[", "-").replace("]", "").translate(_NAMES)


_NAMES = {code: "-" for code in range(128) if not (chr(code).isalnum() or chr(code) in "._-")}
