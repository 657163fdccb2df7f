"""What a journal says of an execution, as its page shows it."""

import json
from typing import Any

import pytest

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_server.http.console import execution_shown
from bloge_server.http.console.execution_story import NodeStory, stories

from .items import START_MS, at


def told(ms: int, kind: str, node: str = "n", **data: Any) -> pb.JournalEvent:
    """Return an event, ms after the start."""
    return pb.JournalEvent(type=kind, node_id=node, data=json.dumps(data).encode(), event_time=at(ms))


SUSPENDED = told(10, "NODE_SUSPENDED", itemId="e.n", workerTopic="gpu", workItem="AAAA")
ERROR = {"type": "Boom", "message": "it broke", "business": False, "details": None, "traceback": "T"}


def story(*events: pb.JournalEvent) -> NodeStory:
    """Return the story of the only node."""
    (found,) = stories(events).values()
    return found


def spans(found: NodeStory) -> list[tuple[str, int, int | None]]:
    """Return what a node's time is made of, in ms after the start."""
    return [
        (each.kind, each.begin_ms - START_MS, None if each.end_ms is None else each.end_ms - START_MS)
        for each in found.spans
    ]


def test_a_remote_node_waits_for_its_worker() -> None:
    """From its suspension on; topic and item are known."""
    found = story(told(0, "NODE_STARTED", attempt=1), SUSPENDED)
    assert (found.state, found.worker_topic, found.item_id, found.has_ended) == ("SUSPENDED", "gpu", "e.n", False)
    assert spans(found) == [("run", 0, 10), ("held", 10, None)]


def test_a_remote_node_resumes_and_completes() -> None:
    """With the worker whose word it was."""
    resumed = told(50, "NODE_RESUMED", itemId="e.n", outcome="COMPLETED", workerId="w1")
    found = story(told(0, "NODE_STARTED", attempt=1), SUSPENDED, resumed, told(51, "NODE_COMPLETED", output=1))
    assert (found.state, found.worker_id, found.has_ended) == ("COMPLETED", "w1", True)
    assert spans(found) == [("run", 0, 10), ("good", 10, 50)]


def test_a_node_is_tried_again() -> None:
    """The error of the attempt before is told, and the wait is seen."""
    found = story(
        told(0, "NODE_STARTED", attempt=1),
        told(20, "NODE_RETRIED", retriesSpent=1, dueMs=START_MS + 60, error=ERROR),
        told(60, "NODE_STARTED", attempt=2),
    )
    assert (found.state, found.attempt, found.error_type, found.error) == ("RUNNING", 2, "Boom", "it broke")
    assert spans(found) == [("bad", 0, 20), ("wait", 20, 60), ("run", 60, None)]


@pytest.mark.parametrize(
    ("kind", "data", "state"),
    [
        ("NODE_FAILED", {"error": ERROR}, "FAILED"),
        ("NODE_FELL_BACK", {"error": ERROR, "output": 1}, "FELL_BACK"),
        ("NODE_COMPLETED", {"output": None}, "COMPLETED"),
    ],
)
def test_a_node_ends(kind: str, data: dict[str, Any], state: str) -> None:
    """Somehow."""
    found = story(told(0, "NODE_STARTED", attempt=1), told(9, kind, **data))
    assert (found.state, found.has_ended, spans(found)[0][2]) == (state, True, 9)
    assert found.error_type == ("Boom" if "error" in data else "")


def test_a_node_that_is_skipped_says_why() -> None:
    """It never began."""
    found = story(told(5, "NODE_SKIPPED", reason="the branch chose another", cause="NOT_CHOSEN"))
    assert (found.state, found.why, found.spans) == ("SKIPPED", "the branch chose another", [])


def test_a_node_that_is_done_at_once_is_a_moment() -> None:
    """A transform has no beginning of its own."""
    assert spans(story(told(5, "NODE_COMPLETED", output=1))) == [("good", 5, 5)]


def test_what_is_not_understood_is_left_alone() -> None:
    """Events of a later release, and data that is no object."""
    later = pb.JournalEvent(type="NODE_PONDERED", node_id="n", data=b"[1]", event_time=at(5))
    broken = pb.JournalEvent(type="NODE_STARTED", node_id="n", data=b"\xff", event_time=at(0))
    assert story(broken, later).state == "RUNNING"
    assert stories([pb.JournalEvent(type="GRAPH_STARTED", data=b"{}")]) == {}


GRAPH = {
    "nodes": [
        {"id": "read", "operatorRef": "Read", "kind": "LOCAL"},
        {"id": "infer", "operatorRef": "Infer", "kind": "REMOTE", "workerTopic": "gpu", "dependsOn": ["read"]},
        {"id": "choose", "kind": "BRANCH", "dependsOn": ["infer"],
         "construct": {"arms": [{"value": "1", "targets": ["good"]}], "otherwise": ["bad"]}},
        {"id": "good", "kind": "TRANSFORM"},
        {"id": "bad", "kind": "TRANSFORM"},
        {"id": "each", "kind": "FOREACH", "dependsOn": ["read"], "construct": {"body": []}},
    ]
}  # fmt: skip


def test_the_picture_has_every_node_with_its_state() -> None:
    """What runs elsewhere is marked with topic and worker; what a branch chooses stands behind it."""
    found = stories([
        told(0, "NODE_STARTED", "infer", attempt=1),
        told(1, "NODE_SUSPENDED", "infer", itemId="i", workerTopic="gpu"),
        told(2, "NODE_RESUMED", "infer", outcome="COMPLETED", workerId="w1"),
    ])  # fmt: skip
    picture = execution_shown.picture(GRAPH, found)
    assert picture is not None
    boxes = {box.node_id: box for box in picture.boxes}
    assert {name: box.state for name, box in boxes.items() if name in {"read", "infer"}} == {
        "read": "WAITING",
        "infer": "RUNNING",
    }
    assert (boxes["infer"].is_remote, boxes["infer"].says) == (True, "gpu · w1")
    assert (boxes["read"].is_remote, boxes["read"].says) == (False, "Read")
    assert boxes["choose"].spot.x < boxes["good"].spot.x == boxes["bad"].spot.x


def test_a_node_with_an_inside_says_how_far_it_has_come() -> None:
    """All nodes of all items, but not those of a node whose name begins alike."""
    found = stories([
        told(0, "NODE_STARTED", "each", attempt=1),
        told(1, "NODE_STARTED", "each[0]/x", attempt=1),
        told(2, "NODE_COMPLETED", "each[0]/x"),
        told(3, "NODE_STARTED", "each[1]/x", attempt=1),
        told(3, "NODE_STARTED", "eachother", attempt=1),
    ])  # fmt: skip
    picture = execution_shown.picture(GRAPH, found)
    assert picture is not None
    assert next(box for box in picture.boxes if box.node_id == "each").says == "1 of 2 nodes inside ended"


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"graph": 1}', b'{"graph": {"nodes": 1}}', b"\xff"])
def test_what_is_no_graph_has_no_picture(payload: bytes) -> None:
    """The rest of the page is there all the same."""
    assert execution_shown.graph_in(payload) is None


def test_a_graph_that_is_too_large_has_no_picture() -> None:
    """Nobody could read it."""
    nodes = [{"id": f"n{index}"} for index in range(201)]
    assert execution_shown.picture({"nodes": nodes}, {}) is None
    assert execution_shown.picture({"nodes": []}, {}) is None


def test_rows_have_bars_on_one_line_of_time() -> None:
    """From the start of the execution to its end, or now."""
    found = stories([told(250, "NODE_STARTED", attempt=1), told(500, "NODE_COMPLETED")])
    (row,) = execution_shown.rows(found.values(), START_MS, START_MS + 1000)
    assert [(bar.x, bar.width, bar.kind) for bar in row.bars] == [(250, 250, "good")]
    assert row.took_ms == 250


def test_only_so_many_rows_are_shown() -> None:
    """A foreach over thousands would not fit a page."""
    found = stories([told(0, "NODE_STARTED", f"n{index}", attempt=1) for index in range(500)])
    assert len(execution_shown.rows(found.values(), START_MS, START_MS + 10)) == 300
