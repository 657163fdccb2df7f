"""Keeps what became of each item, and compares it with the plan. No I/O, no clock."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.load.plan import BUSINESS_ERROR, Plan
from benchmarks.samples import Spread

NOT_ENDED = -1.0
_SHOWN = 5


class Run(NamedTuple):
    """One run of a handler, as its worker noted it."""

    item: int
    attempt: int
    cut: bool
    """True if it was stopped before its end, or its process was killed: it may have to be repeated."""


@dataclass(slots=True)
class Ledger:
    """What became of the items of a plan; item number i stands at place i."""

    plan: Plan
    ended_at: "array[float]" = field(init=False)
    """When its first outcome arrived, seconds after the start; negative if none did."""
    enqueued: int = 0
    """Items whose enqueue the server acknowledged."""
    ended: int = 0
    """Items that have an outcome."""
    redelivered: int = 0
    """Outcomes that arrived again; allowed, they are delivered at least once."""
    strangers: int = 0
    """Outcomes and runs of items that are not of this run."""
    surprises: Counter[str] = field(default_factory=Counter)
    """Outcomes, refusals and runs that the plan does not explain, by what they are."""
    fresh: list[tuple[int, float]] = field(default_factory=list)
    """(topic, latency in ms) of items that ended since somebody last took them; without the backlog."""

    def __post_init__(self) -> None:
        self.ended_at = array("d", [NOT_ENDED]) * len(self.plan)

    @property
    def is_over(self) -> bool:
        """True once every item has ended."""
        return self.ended == len(self.plan)

    def end(self, item: int, what: str, at: float) -> None:
        """Take an outcome.

        Args:
            item: its number.
            what: `completed`, `business error`, or anything else that an outcome may be.
            at: when it arrived, seconds after the start.
        """
        if not 0 <= item < len(self.plan):
            self.strangers += 1
            return
        if self.ended_at[item] != NOT_ENDED:
            self.redelivered += 1
            return
        self.ended_at[item] = at
        self.ended += 1
        if what != self.planned_end(item):
            self.surprises[f"{what} instead of {self.planned_end(item)}"] += 1
        if item >= self.plan.profile.backlog:
            self.fresh.append((self.plan.topics[item], (at - self.plan.at[item]) * 1000))

    def planned_end(self, item: int) -> str:
        """Return how the plan ends an item."""
        return "business error" if self.plan.fates[item] & BUSINESS_ERROR else "completed"

    def take_fresh(self) -> list[tuple[int, float]]:
        """Return what has ended since the last call."""
        fresh, self.fresh = self.fresh, []
        return fresh

    def latencies(self, topic: int) -> list[float]:
        """Return the latencies (ms, from planned arrival to outcome) of a topic's items, without the backlog."""
        first = self.plan.profile.backlog
        return [
            (self.ended_at[item] - self.plan.at[item]) * 1000
            for item in range(first, len(self.plan))
            if self.plan.topics[item] == topic and self.ended_at[item] != NOT_ENDED
        ]

    def spreads(self) -> dict[str, Spread | None]:
        """Return how the latencies of each topic are spread."""
        names = [name for name, _ in self.plan.profile.topics]
        return {name: Spread.of(self.latencies(place)) for place, name in enumerate(names)}


@dataclass(frozen=True, slots=True)
class Accounts:
    """Whether every item ended exactly once, and what it took."""

    items: int
    ended: int
    runs: int
    """Runs of handlers, repeated ones included."""
    cut: int
    """Runs that were stopped, or whose worker was killed."""
    planned_failures: int
    problems: Sequence[str]
    """What is not as it should be; empty if all is well."""


def settle(ledger: Ledger, runs: Iterable[Run]) -> Accounts:
    """Compare what was planned, what ran and what ended.

    An item runs once for each planned failure and once more; only a run that was cut may be repeated.

    Args:
        ledger: what ended.
        runs: every run of every worker.
    """
    plan = ledger.plan
    counted, cut = array("L", [0]) * len(plan), array("L", [0]) * len(plan)
    for run in runs:
        if 0 <= run.item < len(plan):
            counted[run.item] += 1
            cut[run.item] += run.cut
        else:
            ledger.strangers += 1
    numbers = range(len(plan))
    needed = [plan.failures[item] + 1 for item in numbers]
    groups = {
        "have no outcome": [item for item in numbers if ledger.ended_at[item] == NOT_ENDED],
        "ran less often than planned": [item for item in numbers if counted[item] < needed[item]],
        "ran more often than planned, though nothing cut them": [
            item for item in numbers if counted[item] - cut[item] > needed[item]
        ],
    }
    problems = [_told(what, found) for what, found in groups.items() if found]
    if ledger.enqueued != len(plan):
        problems.append(f"{len(plan) - ledger.enqueued} items were not acknowledged at their enqueue")
    problems += [f"{count} {what}" for what, count in sorted(ledger.surprises.items())]
    return Accounts(len(plan), ledger.ended, sum(counted), sum(cut), sum(plan.failures), problems)


def _told(what: str, found: list[int]) -> str:
    shown = ", ".join(map(str, found[:_SHOWN]))
    return f"{len(found)} items {what}, for example number {shown}"
