"""What the journal of an execution says of its nodes. No I/O: events go in, a story of each node comes out.

The journal is the orchestrator's; to the server its data is opaque. What is not understood here is shown as it is.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge_server.http.console import shown

_ENDS = {
    "NODE_COMPLETED": "COMPLETED",
    "NODE_FELL_BACK": "FELL_BACK",
    "NODE_FAILED": "FAILED",
    "NODE_SKIPPED": "SKIPPED",
}
_KINDS = {"COMPLETED": "good", "FELL_BACK": "bad", "FAILED": "bad"}
ENDED = frozenset(_ENDS.values())


@dataclass(slots=True)
class Span:
    """A part of a node's time."""

    kind: str
    """`run`, `held` (by a worker, or for one), `wait` (for a retry), `good` or `bad`."""
    label: str
    begin_ms: int
    end_ms: int | None = None


@dataclass(slots=True)
class NodeStory:
    """One node, or one node inside an item of a foreach or inside a sub-graph, which its path tells."""

    path: str
    state: str = "RUNNING"
    attempt: int = 0
    worker_topic: str = ""
    item_id: str = ""
    worker_id: str = ""
    error_type: str = ""
    error: str = ""
    traceback: str = ""
    why: str = ""
    """Why it was skipped."""
    spans: list[Span] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED

    @property
    def begin_ms(self) -> int:
        """When it began."""
        return self.spans[0].begin_ms if self.spans else 0

    def end_span(self, at_ms: int, kind: str = "") -> None:
        """End what goes on."""
        if self.spans and self.spans[-1].end_ms is None:
            self.spans[-1].end_ms = at_ms
            self.spans[-1].kind = kind or self.spans[-1].kind

    def begin_span(self, at_ms: int, kind: str, label: str) -> None:
        """Begin something else."""
        self.end_span(at_ms)
        self.spans.append(Span(kind, label, at_ms))


def stories(events: Iterable[pb.JournalEvent]) -> dict[str, NodeStory]:
    """Return the story of each node, by its path, in the order in which they began."""
    found: dict[str, NodeStory] = {}
    for event in events:
        if event.node_id:
            story = found.setdefault(event.node_id, NodeStory(event.node_id))
            _tell(story, event.type, shown.ms_of(event.event_time), data_of(event))
    return found


def data_of(event: pb.JournalEvent) -> dict[str, Any]:
    """Return an event's data; empty if it is no JSON object."""
    try:
        data = json.loads(event.data or b"{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _tell(story: NodeStory, kind: str, at_ms: int, data: dict[str, Any]) -> None:
    match kind:
        case "NODE_STARTED":
            story.state, story.attempt = "RUNNING", _number(data.get("attempt"))
            story.begin_span(at_ms, "run", f"attempt {story.attempt}")
        case "NODE_SUSPENDED":
            story.state = "SUSPENDED"
            story.worker_topic, story.item_id = str(data.get("workerTopic", "")), str(data.get("itemId", ""))
            story.begin_span(at_ms, "held", f"waits for a worker of {story.worker_topic}")
        case "NODE_RESUMED":
            story.state, story.worker_id = "RUNNING", str(data.get("workerId", ""))
            outcome = str(data.get("outcome", ""))
            story.end_span(at_ms, "good" if outcome == "COMPLETED" else "bad")
        case "NODE_RETRIED":
            story.state = "RETRY_WAIT"
            _note_error(story, data)
            story.end_span(at_ms, "bad")
            story.begin_span(at_ms, "wait", "waits for the next attempt")
        case _:
            _end(story, kind, at_ms, data)


def _end(story: NodeStory, kind: str, at_ms: int, data: dict[str, Any]) -> None:
    if kind in _ENDS:
        story.state = _ENDS[kind]
        story.why = str(data.get("reason", ""))
        _note_error(story, data)
        if not story.spans and story.state != "SKIPPED":
            story.begin_span(at_ms, "good", "at once")
        story.end_span(at_ms, _KINDS.get(story.state, ""))


def _note_error(story: NodeStory, data: dict[str, Any]) -> None:
    error = data.get("error")
    if isinstance(error, dict):
        story.error_type, story.error = str(error.get("type", "")), str(error.get("message", ""))
        story.traceback = str(error.get("traceback", ""))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
