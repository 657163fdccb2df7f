"""A server whose intervals are short, wires to it, and worker processes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.server import running_server
from support.wire import Wire
from support.worker_process import WorkerProcess

BRISK = ("--lease-seconds", "1", "--offer-lease-seconds", "0.5", "--ping-seconds", "0.4", "--silence-seconds", "2")
"""Everything that a fault makes one wait for passes soon; nothing depends on how soon."""

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="session")
def brisk_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that all tests share."""
    with running_server(tmp_path_factory.mktemp("brisk"), *BRISK) as address:
        yield address


@pytest.fixture
def wire(brisk_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to it, in a namespace of the test's own."""
    with Wire(brisk_address, namespace) as wire:
        yield wire


@pytest.fixture
def start_worker(brisk_address: str, namespace: str) -> Iterator[StartWorker]:
    """Return a starter of worker processes that are connected when it returns; they end with the test."""
    started: list[WorkerProcess] = []

    def start(worker_id: str = "w1", address: str = brisk_address, **flags: Any) -> WorkerProcess:
        worker = WorkerProcess(address, namespace, worker_id, **flags)
        started.append(worker)
        worker.wait_for("connected")
        return worker

    yield start
    for worker in started:
        worker.kill()
