import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.worker_sdk.live_worker import EventLog
from unit.worker_sdk.scripted_server import ScriptedServer

from bloge_worker import Worker


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the shell's own settings out of the tests."""
    monkeypatch.delenv("BLOGE_ADDRESS", raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ScriptedServer]:
    """A scripted server on a unix socket."""
    with ScriptedServer(f"unix:{tmp_path}/server") as running:
        yield running


@pytest.fixture
def worker(server: ScriptedServer) -> Worker:
    """A worker of the scripted server, without handlers yet."""
    return Worker(server.address, slots=4, drain_grace=5.0)


@pytest.fixture
def log() -> Iterator[EventLog]:
    """The warnings of the SDK."""
    handler = EventLog()
    logger = logging.getLogger("bloge_worker")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
