"""A real server with its console, and people who look at it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bloge.remote_workers.v1 import work_item_pb2
from support.server import ServerProcess
from support.visitor import Visitor
from support.wire import TOPIC, Wire

Bury = Callable[..., None]


@pytest.fixture
def wire(server_address: str, namespace: str) -> Iterator[Wire]:
    """Return a wire to the shared server, in a namespace of the test's own."""
    with Wire(server_address, namespace) as wire:
        yield wire


@pytest.fixture
def visitor(server_process: ServerProcess, namespace: str) -> Iterator[Visitor]:
    """Return somebody who looks at the shared server's console, in the same namespace."""
    visitor = Visitor(server_process.http_address, namespace)
    with visitor.http:
        yield visitor


@pytest.fixture
def bury(wire: Wire) -> Bury:
    """Return what makes dead letters."""

    def buried(*item_ids: str, kind: str = "Boom", message: str = "it broke", topic: str = TOPIC, **spec: Any) -> None:
        wire.put(*item_ids, worker_topic=topic, **spec)
        for start in range(0, len(item_ids), 500):
            leases = wire.claim(min(500, len(item_ids) - start), worker_topic=topic)
            for verdict in wire.fail(
                *leases, kind=kind, message=message, traceback="Traceback (most recent call last)"
            ):
                assert verdict.status == work_item_pb2.WORK_ITEM_STATUS_DEAD_LETTER

    return buried
