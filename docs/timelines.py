"""Draws what becomes of a remote node over time: `resilience.svg`.

What the workers do is told here. What the node makes of it is decided by the orchestrator's own scheduler, so the
picture shows no retry, wait or fallback that the code would not make.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from bloge_orchestrator import NodeStatus, OperatorRegistry, compile_source
from bloge_orchestrator.durations import to_milliseconds
from bloge_orchestrator.execution.actions import WaitUntil
from bloge_orchestrator.execution.decide import decide
from bloge_orchestrator.execution.events import NodeSuspended, OutcomeKind
from bloge_orchestrator.execution.happenings import Begun, Happening, OutcomeArrived, RetryDue
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.execution.work_items import ItemOutcome

NODE = "infer"
FAILED, LOST, STOPPED, COMPLETED, DEAD = "failed", "lease lost", "stopped", "completed", "dead letter"
COLOURS = {
    FAILED: "#e69f00",
    LOST: "#999999",
    STOPPED: "#cc79a7",
    COMPLETED: "#009e73",
    DEAD: "#d55e00",
    NodeStatus.SUSPENDED: "#56b4e9",
    NodeStatus.RETRY_WAIT: "#f0e442",
}
"""Okabe and Ito's palette: told apart by colour-blind readers too."""
_INK, _FAINT, _PAPER = "#222222", "#d8d8d8", "#ffffff"
_LEFT, _MINUTE, _LANE, _BAR, _HEAD = 84, 78, 26, 18, 46
_MINUTES = 11
_WIDTH = _LEFT + _MINUTES * _MINUTE + 28
_LETTER = 6.2
"""About the width of a letter at 11 px."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts, from a second to a second of the story."""

    begin: float
    end: float
    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """What happens to a work item: runs and waits, and the outcome that ends them."""

    spans: Sequence[Span]
    outcome: OutcomeKind
    at: float
    """When the outcome is there, in seconds of the story."""

    @property
    def retry_count(self) -> int:
        """How many failures were retried: none after the last one, none for a lost lease, all forgotten by a replay."""
        dead = max((span.end for span in self.spans if span.kind == DEAD), default=0.0)
        return sum(span.kind == FAILED and span.begin >= dead for span in self.spans)


@dataclass(frozen=True, slots=True)
class Story:
    """One picture: a node, and what happens to each of its items."""

    title: str
    settings: str
    items: Sequence[Item]


STORIES = (
    Story(
        "a failure, a lost lease, a deadline, another item",
        "timeout = 5m, retry = { attempts: 3, backoff: 30s }",
        (
            Item(
                [
                    Span(20, 60, FAILED, "attempt 1"),
                    Span(90, 165, LOST, "attempt 2"),
                    Span(166, 300, STOPPED, "attempt 2 again"),
                ],
                OutcomeKind.TIMED_OUT,
                300,
            ),
            Item(
                [Span(340, 400, FAILED, "attempt 1"), Span(430, 520, COMPLETED, "attempt 2")],
                OutcomeKind.COMPLETED,
                520,
            ),
        ),
    ),
    Story(
        "the budget is spent; somebody replays the dead letter",
        "timeout = 10m, retry = { attempts: 1, backoff: 30s }",
        (
            Item(
                [
                    Span(20, 65, FAILED, "attempt 1"),
                    Span(95, 140, FAILED, "attempt 2"),
                    Span(140, 360, DEAD, "dead letter, until it is replayed"),
                    Span(370, 450, COMPLETED, "attempt 1"),
                ],
                OutcomeKind.COMPLETED,
                450,
            ),
        ),
    ),
    Story(
        "no worker comes",
        "timeout = 3m, retry = { attempts: 1, backoff: 30s }, fallback = { label: null }",
        (Item([], OutcomeKind.TIMED_OUT, 180), Item([], OutcomeKind.TIMED_OUT, 390)),
    ),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the scheduler makes of a story."""

    node: Sequence[Span]
    items: Sequence[float]
    """When each item was enqueued, in seconds."""
    timeout: float
    """Of the node, in seconds."""
    end: NodeStatus
    ends_at: float


def tell(story: Story) -> Told:
    """Have the scheduler decide what the node does."""
    plan = _plan(story.settings)
    state, now_ms = ExecutionState(), 0
    ahead: list[tuple[int, Happening]] = [(0, Begun("e", "default", "", {}))]
    turns = [(0, state.node(NODE).status)]
    enqueued: list[float] = []
    while ahead and not state.finished:
        ahead.sort(key=lambda each: each[0])
        now_ms, happening = ahead.pop(0)
        decision = decide(plan, state, happening, now_ms)
        state = decision.state
        for event in decision.events:
            if isinstance(event, NodeSuspended):
                ahead.append(_outcome(story.items[len(enqueued)], event.item_id))
                enqueued.append(now_ms / 1000)
        ahead += [(each.due_ms, RetryDue(each.node_id)) for each in decision.actions if isinstance(each, WaitUntil)]
        turns.append((now_ms, state.node(NODE).status))
    spans = [
        Span(begin / 1000, end / 1000, status, status.value.lower().replace("_", " "))
        for (begin, status), (end, _) in pairwise(turns)
        if end > begin
    ]
    timeout = plan.node(NODE).spec.timeout
    assert timeout is not None
    return Told(spans, enqueued, to_milliseconds(timeout) / 1000, state.node(NODE).status, now_ms / 1000)


def _plan(settings: str) -> Plan:
    remote = f'execution_mode = remote, worker_topic = "gpu", {settings}'
    text = f"graph g {{ node {NODE} : Model {{ {remote} }} }}"
    return Plan(compile_source(text, filename="story", registry=OperatorRegistry()))


def _outcome(item: Item, item_id: str) -> tuple[int, Happening]:
    outcome = ItemOutcome(item_id, NODE, item.outcome, output=b"1", retry_count=item.retry_count)
    return int(item.at * 1000), OutcomeArrived("gpu", outcome)


def picture() -> str:
    """Return the picture, one story under the other."""
    body: list[str] = []
    top = 12
    for story in STORIES:
        told = tell(story)
        height = _HEAD + _LANE * (1 + len(told.items)) + 22
        body += [f"<g transform='translate(0,{top})'>", *_story(story, told), "</g>"]
        top += height + 14
    body += _legend(top)
    size = f"viewBox='0 0 {_WIDTH} {top + 24}' width='{_WIDTH}' height='{top + 24}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} font-family='system-ui, sans-serif' font-size='11'>"
    title = "<title>Three remote nodes over time: retries, deadlines, dead letters, fallbacks</title>"
    paper = f"<rect width='100%' height='100%' fill='{_PAPER}'/>"
    return "\n".join([head, title, paper, *body, "</svg>"]) + "\n"


def _story(story: Story, told: Told) -> Iterator[str]:
    lanes = 1 + len(told.items)
    yield _text(12, 14, story.title, "font-weight='600' font-size='13'")
    yield _text(12, 31, story.settings, "font-family='ui-monospace, monospace'")
    yield from _axis(lanes)
    yield _text(12, _HEAD + 13, "node")
    yield from (_bar(0, span) for span in told.node)
    yield _text(_x(told.ends_at) + 6, _HEAD + 13, told.end.value, "font-weight='600'")
    for lane, (item, since) in enumerate(zip(story.items, told.items, strict=True), 1):
        yield _text(12, _HEAD + lane * _LANE + 13, f"work item {lane}")
        yield _frame(lane, since, item.at)
        yield from (_bar(lane, span) for span in item.spans)
        yield from _deadline(lane, since + told.timeout)


def _axis(lanes: int) -> Iterator[str]:
    bottom = _HEAD + lanes * _LANE
    for minute in range(_MINUTES + 1):
        x = _x(minute * 60)
        yield f"<line x1='{x:.1f}' y1='{_HEAD - 4}' x2='{x:.1f}' y2='{bottom}' stroke='{_FAINT}'/>"
        yield _text(x, bottom + 14, f"{minute} min" if minute else "0", "text-anchor='middle' fill='#666666'")


def _bar(lane: int, span: Span) -> str:
    x, width, y = _x(span.begin), _x(span.end) - _x(span.begin), _HEAD + lane * _LANE
    box = f"x='{x:.1f}' y='{y}' width='{width:.1f}' height='{_BAR}' rx='2' fill='{COLOURS[span.kind]}'"
    said = f"<rect {box}><title>{escape(span.text)}: {escape(span.kind)}</title></rect>"
    fitting = (each for each in (span.text, span.text.removeprefix("attempt ")) if len(each) * _LETTER + 8 <= width)
    return said + "".join(_text(x + 4, y + 13, each) for each in list(fitting)[:1])


def _frame(lane: int, begin: float, end: float) -> str:
    y, width = _HEAD + lane * _LANE, _x(end) - _x(begin)
    return f"<rect x='{_x(begin):.1f}' y='{y}' width='{width:.1f}' height='{_BAR}' fill='none' stroke='#888888'/>"


def _deadline(lane: int, at: float) -> Iterator[str]:
    if at <= _MINUTES * 60:
        x, y = _x(at), _HEAD + lane * _LANE
        yield f"<line x1='{x:.1f}' y1='{y - 4}' x2='{x:.1f}' y2='{y + _BAR + 4}' stroke='{_INK}' stroke-width='2'/>"


def _legend(top: int) -> Iterator[str]:
    x = 12.0
    for kind in (FAILED, LOST, STOPPED, COMPLETED, DEAD, NodeStatus.RETRY_WAIT):
        name = "the node's wait before its next item" if kind is NodeStatus.RETRY_WAIT else kind
        yield f"<rect x='{x:.1f}' y='{top}' width='12' height='12' rx='2' fill='{COLOURS[kind]}'/>"
        yield _text(x + 17, top + 10, name)
        x += 17 + len(name) * _LETTER + 16
    yield f"<line x1='{x:.1f}' y1='{top - 3}' x2='{x:.1f}' y2='{top + 15}' stroke='{_INK}' stroke-width='2'/>"
    yield _text(x + 8, top + 10, "suspend deadline")


def _x(second: float) -> float:
    return _LEFT + second / 60 * _MINUTE


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {style}>{escape(text)}</text>"
