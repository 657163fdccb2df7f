"""A live system with real failures, and a browser that looks at it."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from selenium.webdriver import Chrome

from bloge.remote_workers.v1 import ops_service_pb2, work_item_pb2
from support.server import ServerProcess, running_process
from support.waiting import until
from support.wire import Wire, seconds

from .browsing import Browser, chromium
from .graph import Orchestrator, start
from .worker import OPERATOR, TOPIC

EXECUTION = "5b3c6f0e-8f5e-5a53-9d53-2f6f3c1f7a10"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return a server that all tests share."""
    with running_process(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Return a browser that all tests share."""
    with chromium(tmp_path_factory.mktemp("profile") / "new") as driver:
        yield driver


@pytest.fixture
def browser(driver: Chrome, server: ServerProcess) -> Browser:
    """Return the browser at the shared server; what it saw before is forgotten."""
    driver.get("about:blank")
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    return Browser(driver, server.http_address)


@pytest.fixture
def wire(server: ServerProcess, namespace: str) -> Iterator[Wire]:
    """Return a wire to the shared server, in a namespace of the test's own."""
    with Wire(server.address, namespace) as wire:
        yield wire


def bill(item_id: str, guests: int, **fields: Any) -> work_item_pb2.WorkItemSpec:
    """Return an item for the worker; it breaks without guests."""
    envelope = {"operatorRef": OPERATOR, "workerTopic": TOPIC, "input": {"total": 120, "guests": guests}}
    told: dict[str, Any] = {
        "item_id": item_id,
        "worker_topic": TOPIC,
        "operator_ref": OPERATOR,
        "node_id": "splitBill",
        "execution_id": EXECUTION,
        "payload": json.dumps(envelope).encode(),
        "suspend_timeout": seconds(3600),
        "retry_policy": work_item_pb2.RetryPolicy(attempts=1),
    }
    return work_item_pb2.WorkItemSpec(**told | fields)


@pytest.fixture
def worker(server: ServerProcess, namespace: str) -> Iterator[None]:
    """Have a real worker work in the test's namespace."""
    with running_worker(server.address, namespace, "billing-1"):
        yield


@contextmanager
def running_worker(address: str, namespace: str, worker_id: str) -> Iterator[None]:
    """Have a worker process until the end."""
    script = Path(__file__).parent / "worker.py"
    process = subprocess.Popen([sys.executable, str(script), address, namespace, worker_id], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@dataclass(frozen=True)
class Story:
    """What every page is shown of: work that is done, waits, runs and has failed."""

    finished: str
    """An execution that has ended."""
    suspended: str
    """One that waits for its dead letter."""


@pytest.fixture(scope="session")
def story(server: ServerProcess) -> Iterator[Story]:
    """Return what the default namespace has."""
    with (
        Wire(server.address, "default") as wire,
        wire.session("gpu-2", "inference", slots=8, credit=4) as session,
        running_worker(server.address, "default", "billing-1"),
        Orchestrator(server.address, "default"),
    ):
        executions = [start(server.address, "default", guests, key) for key, guests in (("table-7", 4), ("table-9", 0))]
        wire.enqueue(*(bill(f"bill-{index}", guests=index % 4) for index in range(12)))
        until(lambda: wire.topic(TOPIC).dead_letter_count == 4, "bills without guests are dead letters")
        wire.put(*(f"scan-{index:02}" for index in range(40)), worker_topic="inference", operator_ref="Classify")
        session.leases(4)
        wire.put("page-1", "page-2", worker_topic="ocr")
        action = ops_service_pb2.Action(actor="ada", reason="the scanner gives empty pages")
        wire.ops.PauseTopic(ops_service_pb2.PauseTopicRequest(namespace="default", worker_topic="ocr", action=action))
        until(lambda: _is_listed(wire, "billing-1"), "the worker is listed")
        until(lambda: _has_curves(server.http_address), "what happened shows in curves")
        yield Story(*executions)


def _has_curves(address: str) -> bool:
    return re.search(r'class="number">[1-9]', httpx.get(f"http://{address}/console").text) is not None


def _is_listed(wire: Wire, worker_id: str) -> bool:
    listed = wire.ops.ListWorkers(ops_service_pb2.ListWorkersRequest(namespace=wire.namespace)).workers
    return worker_id in [each.worker_id for each in listed]
