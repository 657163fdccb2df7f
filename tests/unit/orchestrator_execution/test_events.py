"""Events and their JSON form."""

import json
from typing import Any

import pytest

from bloge_orchestrator.execution.events import (
    EventError,
    ExecutionStatus,
    GraphCancelled,
    GraphCompleted,
    GraphStarted,
    NodeCompleted,
    NodeExpanded,
    NodeFailed,
    NodeFellBack,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeSuspended,
    OutcomeKind,
    SkipCause,
    event_from_json,
)
from bloge_orchestrator.execution.failure import NodeError

ERROR = NodeError("CARD_DECLINED", "no money", business=True, details={"left": 3}, traceback="")
COMMON: dict[str, Any] = {"sequence": 4, "at_ms": 1_800_000_000_000}
NODE: dict[str, Any] = {**COMMON, "node_id": "n"}

EVENTS = [
    GraphStarted(
        **COMMON, execution_id="e", namespace="d", business_key="b", graph_name="g", graph_hash="h", input={"a": [1]}
    ),
    GraphCancelled(**COMMON, reason="enough"),
    GraphCompleted(**COMMON, status=ExecutionStatus.FAILED),
    NodeStarted(**NODE, attempt=2),
    NodeSuspended(**NODE, item_id="e.n.1", worker_topic="t", work_item=b"\x00\xff{}"),
    NodeResumed(
        **NODE,
        item_id="i",
        outcome=OutcomeKind.TIMED_OUT,
        worker_id="w",
        retry_count=3,
        dead_letter_reason="LEASE_LOST",
    ),
    NodeRetried(**NODE, retries_spent=1, due_ms=5, error=ERROR),
    NodeCompleted(**NODE, output=None),
    NodeFellBack(**NODE, output=[], error=ERROR),
    NodeFailed(**NODE, error=ERROR),
    NodeCompleted(**NODE, gathered=True),
    NodeSkipped(**NODE, reason="m failed", cause=SkipCause.UPSTREAM_FAILED),
    NodeExpanded(**NODE, count=3, size=2, terminals=("a", "b")),
    NodeExpanded(**NODE, count=None, size=1, terminals=()),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.TYPE)
def test_an_event_survives_its_json(event: Any) -> None:
    """Nothing is lost, bytes and enums included, and the type comes back."""
    again = event_from_json(json.loads(json.dumps(event.to_json())))
    assert again == event
    assert type(again) is type(event)


def test_the_json_of_an_event() -> None:
    """Keys are camel case; what belongs to the type stands apart."""
    assert EVENTS[3].to_json() == {
        "sequence": 4,
        "type": "NODE_STARTED",
        "atMs": 1_800_000_000_000,
        "nodeId": "n",
        "data": {"attempt": 2},
    }


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"type": "NODE_TELEPORTED", "sequence": 1, "atMs": 1, "data": {}},
        {"type": "NODE_STARTED", "sequence": 1, "atMs": 1, "data": {"attempt": 1}},
        {"type": "NODE_STARTED", "sequence": 1, "atMs": 1, "nodeId": "n", "data": {}},
        {"type": "GRAPH_COMPLETED", "sequence": 1, "atMs": 1, "data": {"status": "HAPPY"}},
    ],
)
def test_what_is_no_event_is_refused(document: dict[str, Any]) -> None:
    """A later release may know more types than this one."""
    with pytest.raises(EventError, match="later release"):
        event_from_json(document)
