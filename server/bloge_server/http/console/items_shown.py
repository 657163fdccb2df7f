"""A work item as its page shows it: what is said of it, and its attempts as bars on a line of time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import shown

_WIDTH = 1000
"""Units of a line of time."""
_LEAST = 3
_OPEN = frozenset({"READY", "CLAIMED", "RETRY_WAIT"})


class Bar(NamedTuple):
    """A part of the line of time."""

    x: int
    width: int
    kind: str
    """`wait`, `run`, `good` or `bad`."""
    label: str


class AttemptView(NamedTuple):
    """One claim of an item."""

    number: int
    worker_id: str
    fence: int
    claimed_ms: int
    ended_ms: int | None
    wait_ms: int
    """From when it could have been claimed."""
    run_ms: int
    end: str
    """Empty while it runs."""
    failure: pb.Failure | None
    due_ms: int | None

    @property
    def kind(self) -> str:
        """What kind of bar it is."""
        if not self.end:
            return "run"
        return "good" if self.end == "COMPLETED" else "bad"


@dataclass(frozen=True, slots=True)
class ItemView:
    """What a page shows of an item beside its description."""

    item: pb.WorkItem
    status: str
    reason: str
    outcome: str
    attempts: Sequence[AttemptView]
    bars: Sequence[Bar]
    deadline_left_ms: int | None
    """Until its suspend deadline, while it has no outcome; None without one."""

    @property
    def is_open(self) -> bool:
        """Whether it can be cancelled."""
        return self.status in _OPEN or (self.status == "DEAD_LETTER" and not self.outcome)

    @property
    def is_waiting_letter(self) -> bool:
        """Whether it is a dead letter that can be replayed."""
        return self.status == "DEAD_LETTER" and not self.outcome


@dataclass(frozen=True, slots=True)
class ListedItem:
    """An item in a list."""

    item: pb.WorkItem

    @property
    def status(self) -> str:
        """Where it stands."""
        return shown.status_of(self.item.status)

    @property
    def reason(self) -> str:
        """Why it is a dead letter."""
        return shown.reason_of(self.item.dead_letter_reason)

    @property
    def outcome(self) -> str:
        """Kind of its outcome; empty without one."""
        return shown.outcome_of(self.item.outcome.kind) if self.item.HasField("outcome") else ""

    @property
    def last_failure(self) -> pb.Failure | None:
        """How it failed last."""
        return next((each.failure for each in reversed(self.item.attempts) if each.HasField("failure")), None)


def view(item: pb.WorkItem, now_ms: int) -> ItemView:
    """Return what is shown of an item at a time."""
    outcome = shown.outcome_of(item.outcome.kind) if item.HasField("outcome") else ""
    attempts = list(_attempts(item, now_ms))
    deadline = None
    if item.HasField("suspend_deadline") and not outcome:
        deadline = shown.ms_of(item.suspend_deadline) - now_ms
    return ItemView(
        item=item,
        status=shown.status_of(item.status),
        reason=shown.reason_of(item.dead_letter_reason),
        outcome=outcome,
        attempts=attempts,
        bars=_bars(item, attempts, now_ms),
        deadline_left_ms=deadline,
    )


def _attempts(item: pb.WorkItem, now_ms: int) -> Iterator[AttemptView]:
    free_ms = shown.ms_of(item.enqueue_time)
    for each in item.attempts:
        claimed = shown.ms_of(each.claim_time)
        ended = shown.ms_of(each.end_time) if each.HasField("end_time") else None
        due = shown.ms_of(each.due_time) if each.HasField("due_time") else None
        yield AttemptView(
            number=each.attempt,
            worker_id=each.worker_id,
            fence=each.fence,
            claimed_ms=claimed,
            ended_ms=ended,
            wait_ms=max(0, claimed - free_ms),
            run_ms=max(0, (now_ms if ended is None else ended) - claimed),
            end=shown.end_of(each.end),
            failure=each.failure if each.HasField("failure") else None,
            due_ms=due,
        )
        free_ms = due or ended or claimed


def _end(item: pb.WorkItem, now_ms: int) -> int:
    """Return when the line of time ends: with the item's story, or now if that goes on."""
    if item.HasField("outcome"):
        return shown.ms_of(item.outcome.outcome_time)
    return shown.ms_of(item.dead_letter_time) if item.HasField("dead_letter_time") else now_ms


def _bars(item: pb.WorkItem, attempts: Sequence[AttemptView], now_ms: int) -> list[Bar]:
    begin = shown.ms_of(item.enqueue_time)
    end = _end(item, now_ms)
    span = max(1, end - begin)

    def bar(start_ms: int, length_ms: int, kind: str, label: str) -> Bar:
        x = min(_WIDTH - _LEAST, max(0, (start_ms - begin) * _WIDTH // span))
        return Bar(x, max(_LEAST, min(_WIDTH - x, length_ms * _WIDTH // span)), kind, label)

    bars = []
    for each in attempts:
        if each.wait_ms:
            waited = shown.duration(each.wait_ms)
            bars.append(bar(each.claimed_ms - each.wait_ms, each.wait_ms, "wait", f"waited {waited}"))
        ended = shown.words(each.end) or "running"
        label = f"attempt {each.number} on {each.worker_id}: {ended} after {shown.duration(each.run_ms)}"
        bars.append(bar(each.claimed_ms, each.run_ms, each.kind, label))
    return bars
