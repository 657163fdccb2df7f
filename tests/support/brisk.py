"""Fixtures of tests on whole processes: a server whose intervals are short, a wire to it, and worker processes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.server import running_server
from support.wire import PATIENCE, TOPIC, Wire
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


def put(wire: Wire, *item_ids: str, operator: str, node_input: object = None, **spec: Any) -> None:
    """Enqueue nodes for the conducted worker."""
    envelope = {"operatorRef": operator, "workerTopic": TOPIC, "input": node_input, "executionContext": {}}
    wire.put(*item_ids, payload=json.dumps(envelope).encode(), operator_ref=operator, **spec)


def output(wire: Wire, item_id: str) -> dict[str, Any]:
    """Wait for an item's output."""
    outcome = wire.await_outcome(item_id, wait=PATIENCE - 5)
    assert outcome is not None
    assert outcome.kind == pb.OUTCOME_KIND_COMPLETED
    found: dict[str, Any] = json.loads(outcome.output)
    return found
