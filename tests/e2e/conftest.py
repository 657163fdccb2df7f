"""Worker processes and an enqueuer of the test's own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from .control import Enqueuer

_HANDLERS = Path(__file__).with_name("handlers.py")
_STOP_SECONDS = 30


@pytest.fixture
def enqueuer(server_address: str, namespace: str) -> Iterator[Enqueuer]:
    """Return an enqueuer on the shared server."""
    with grpc.insecure_channel(server_address) as channel:
        yield Enqueuer(channel, namespace, "e2e")


StartWorker = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def start_worker(server_address: str, namespace: str) -> Iterator[StartWorker]:
    """Return a starter of worker processes; they end with the test."""
    started: list[subprocess.Popen[str]] = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, str(_HANDLERS), server_address, namespace]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=_STOP_SECONDS)
