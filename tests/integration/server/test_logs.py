"""What the log says of single items: everything to find them by, as JSON, and nothing that is secret or data."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.server import ServerProcess, running_process
from support.waiting import until
from support.wire import TOPIC, Wire, seconds

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPEC: dict[str, Any] = {
    "execution_id": "e1",
    "node_id": "infer",
    "payload": b"a secret of the graph",
    "trace_context": pb.TraceContext(traceparent=f"00-{TRACE_ID}-b7ad6b7169203331-01"),
}


@pytest.fixture(scope="module")
def logging_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return a server whose log nobody else fills."""
    with running_process(tmp_path_factory.mktemp("logging")) as server:
        yield server


class Story:
    """A server's log, and a wire to it.

    Args:
        server: the server.
        wire: in a namespace of the test's own.
    """

    def __init__(self, server: ServerProcess, wire: Wire) -> None:
        self.server = server
        self.wire = wire

    def line(self, event: str) -> dict[str, Any]:
        """Return the first line of an event in the namespace, as soon as it is there."""
        until(lambda: self._lines(event), f"a line {event!r}")
        return dict(self._lines(event)[0])

    def _lines(self, event: str) -> list[dict[str, Any]]:
        namespace = self.wire.namespace
        return [each for each in self.server.log if each["event"] == event and each.get("namespace") == namespace]


@pytest.fixture
def story(logging_server: ServerProcess, namespace: str) -> Iterator[Story]:
    """Return a log and a wire; nothing secret is in the log afterwards."""
    with Wire(logging_server.address, namespace) as wire:
        yield Story(logging_server, wire)
    text = json.dumps(logging_server.log)
    assert "a secret of the graph" not in text


def test_a_dead_letter_is_told_with_all_its_names(story: Story) -> None:
    """Item, execution, node, topic, worker, fence and trace: whichever of them somebody searches for."""
    story.wire.put("a", **SPEC)
    lease = story.wire.claim_one(worker="w7")
    story.wire.fail(lease, message="a secret of the graph")
    line = story.line("dead letter")
    assert line["level"] == "warning"
    del line["timestamp"], line["level"], line["event"]
    assert line == {
        "namespace": story.wire.namespace, "worker_topic": TOPIC, "item_id": "a", "execution_id": "e1",
        "node_id": "infer", "worker_id": "w7", "fence": str(lease.fence), "trace_id": TRACE_ID,
        "reason": "BUDGET_SPENT",
    }  # fmt: skip
    assert lease.lease_token.rpartition("/")[2] not in json.dumps(story.server.log)


def test_a_lost_lease_is_told(story: Story) -> None:
    """With the worker that lost it."""
    story.wire.put("a", **SPEC)
    story.wire.claim_one(worker="w8", lease_duration=seconds(1))
    assert story.line("lease lost")["worker_id"] == "w8"


def test_a_passed_deadline_is_told(story: Story) -> None:
    """Without a worker if none had it."""
    story.wire.put("a", suspend_timeout=seconds(0.1))
    assert "worker_id" not in story.line("suspend deadline passed")


def test_a_refused_report_is_told(story: Story) -> None:
    """With its reason, and its fence; and that the output was kept."""
    story.wire.put("a", **SPEC)
    lease = story.wire.claim_one()
    story.wire.cancel("a")
    story.wire.complete(lease)
    assert story.line("cancelled")["trace_id"] == TRACE_ID
    line = story.line("report refused")
    assert (line["report"], line["item_id"], line["fence"]) == ("complete", "a", str(lease.fence))
    assert line["reason"] == "CANCELLED"
    assert story.line("late output kept")["reason"] == "CANCELLED"


def test_what_people_do_is_told(story: Story) -> None:
    """Who, what and why."""
    story.wire.put("a")
    action = ops.Action(actor="Ada", reason="maintenance", request_id="r1")
    request = ops.PauseTopicRequest(namespace=story.wire.namespace, worker_topic=TOPIC, action=action)
    story.wire.ops.PauseTopic(request)
    line = story.line("action")
    assert (line["verb"], line["target"], line["actor"], line["reason"]) == ("PauseTopic", TOPIC, "Ada", "maintenance")


def test_a_large_batch_of_refusals_fills_no_disk(story: Story) -> None:
    """The first ones are told, and how many more there were."""
    names = [f"i{number}" for number in range(30)]
    story.wire.put(*names)
    leases = story.wire.claim(30)
    story.wire.complete(*leases)
    story.wire.complete(*leases, output=b"other")
    assert story.line("more reports refused")["count"] == 10


def test_what_libraries_log_is_json_too(tmp_path: Path) -> None:
    """Whatever reads the log need not guess."""
    with running_process(tmp_path) as server:
        host, _, port = server.http_address.rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"NONSENSE\r\n\r\n")
            connection.recv(1024)
        line = server.wait_for("Invalid HTTP request received.")
    assert (line["level"], line["logger"]) == ("warning", "uvicorn.error")
