"""An execution as its page shows it: its graph as a picture, its nodes as rows with bars on one line of time."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bloge_server.http.console.execution_story import NodeStory, Span
from bloge_server.http.console.graph_layout import Layout, Spot, layout
from bloge_server.http.console.items_shown import Bar

_WIDTH, _LEAST = 1000, 3
_MOST_BOXES = 200
_MOST_ROWS = 300
_LABEL_CHARS = 24


class Box(NamedTuple):
    """A node in the picture."""

    node_id: str
    label: str
    says: str
    """What stands below its name: operator, topic and worker, or how far its inside has come."""
    state: str
    spot: Spot
    is_remote: bool
    story: NodeStory | None


class Picture(NamedTuple):
    """A graph."""

    boxes: list[Box]
    layout: Layout


class Row(NamedTuple):
    """A node in the table."""

    story: NodeStory
    bars: list[Bar]
    took_ms: int


def graph_in(payload: bytes) -> Mapping[str, Any] | None:
    """Return the graph that an execution's work item carries; None if there is none that can be drawn."""
    try:
        graph = json.loads(payload)["graph"]
    except (ValueError, KeyError, TypeError):
        return None
    return graph if isinstance(graph, dict) and isinstance(graph.get("nodes"), list) else None


def picture(graph: Mapping[str, Any], stories: Mapping[str, NodeStory]) -> Picture | None:
    """Return the picture of a graph; None if it is too large to be read."""
    nodes = {str(node.get("id", "")): node for node in graph["nodes"] if isinstance(node, dict)}
    if not nodes or len(nodes) > _MOST_BOXES:
        return None
    placed = layout(_needs(nodes))
    return Picture([_box(node, each, stories, placed) for node, each in nodes.items()], placed)


def rows(stories: Iterable[NodeStory], begin_ms: int, now_ms: int) -> list[Row]:
    """Return the nodes that began, with their bars.

    Args:
        stories: of the nodes.
        begin_ms: when the execution began.
        now_ms: when the line of time ends.
    """
    span = max(1, now_ms - begin_ms)
    return [_row(story, begin_ms, now_ms, span) for story, _ in zip(stories, range(_MOST_ROWS), strict=False)]


def _needs(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return what each node depends on; what a branch chooses depends on it."""
    needs = {node: [str(each) for each in told.get("dependsOn") or []] for node, told in nodes.items()}
    for node, told in nodes.items():
        for target in _targets(told.get("construct")):
            if target in needs and node not in needs[target]:
                needs[target].append(node)
    return needs


def _targets(construct: object) -> list[str]:
    if not isinstance(construct, dict):
        return []
    arms = [arm.get("targets", []) for arm in construct.get("arms") or [] if isinstance(arm, dict)]
    return [str(target) for targets in (*arms, construct.get("otherwise") or []) for target in targets]


def _box(node_id: str, told: Mapping[str, Any], stories: Mapping[str, NodeStory], placed: Layout) -> Box:
    story = stories.get(node_id)
    topic = str(told.get("workerTopic") or "")
    label = node_id if len(node_id) <= _LABEL_CHARS else f"{node_id[: _LABEL_CHARS - 1]}…"
    says = _inside(node_id, stories) or _remote(topic, story) or str(told.get("operatorRef") or told.get("kind") or "")
    state = story.state if story else "WAITING"
    return Box(node_id, label, says[:34], state, placed.spots[node_id], bool(topic), story)


def _remote(topic: str, story: NodeStory | None) -> str:
    if not topic:
        return ""
    return f"{topic} · {story.worker_id}" if story and story.worker_id else topic


def _inside(node_id: str, stories: Mapping[str, NodeStory]) -> str:
    """Return how far the inside of a sub-graph or a foreach has come; empty for other nodes."""
    inner = [story for path, story in stories.items() if path[: len(node_id)] == node_id and _is_below(path, node_id)]
    if not inner:
        return ""
    return f"{sum(story.has_ended for story in inner)} of {len(inner)} nodes inside ended"


def _is_below(path: str, node_id: str) -> bool:
    return path[len(node_id) : len(node_id) + 1] in {"/", "[", "#"}


def _row(story: NodeStory, begin_ms: int, now_ms: int, span: int) -> Row:
    return Row(story, [*_bars(story.spans, begin_ms, now_ms, span)], _took(story, now_ms))


def _took(story: NodeStory, now_ms: int) -> int:
    if not story.spans:
        return 0
    last = story.spans[-1].end_ms
    return max(0, (now_ms if last is None else last) - story.begin_ms)


def _bars(spans: Sequence[Span], begin_ms: int, now_ms: int, span: int) -> Iterable[Bar]:
    for each in spans:
        end = now_ms if each.end_ms is None else each.end_ms
        x = min(_WIDTH - _LEAST, max(0, (each.begin_ms - begin_ms) * _WIDTH // span))
        yield Bar(x, max(_LEAST, min(_WIDTH - x, (end - each.begin_ms) * _WIDTH // span)), each.kind, each.label)
