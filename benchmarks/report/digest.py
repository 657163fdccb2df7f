"""Medians and ratios of recorded results. No I/O."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

OURS, OURS_EMBEDDED = "bloge", "bloge-embedded"
PYTHON_PEERS = ("saq", "taskiq", "arq", "dramatiq", "celery")
Record = Mapping[str, Any]
Pick = Callable[[Record], float | None]


@dataclass(frozen=True, slots=True)
class Digest:
    """The results of one run.

    Args:
        records: as they were written.
    """

    records: Sequence[Record]

    @property
    def hardware(self) -> Mapping[str, str]:
        """What the run was taken on."""
        found: Mapping[str, str] = next(each["hardware"] for each in self.records if each["kind"] == "run")
        return found

    @property
    def is_smoke(self) -> bool:
        """True if the sizes were tiny: the figures then say nothing."""
        return any(each["kind"] == "run" and each["smoke"] for each in self.records)

    def systems(self) -> list[Record]:
        """Return one visit of each system, the last, for its title and settings; ours first."""
        latest = {each["system"]: each for each in self._visits()}
        return list(latest.values())

    def problems(self) -> list[str]:
        """Return what was not as it should be in a visit."""
        return [f"{each['title']}: {problem}" for each in self._visits() for problem in each["problems"]]

    def middle(self, system: str, pick: Pick) -> float | None:
        """Return the median of a figure over the visits of a system; None if it was not taken."""
        found = [figure for each in self._visits(system) if (figure := pick(each)) is not None]
        return median(found) if found else None

    def ratio(self, peer: str, pick: Pick) -> float | None:
        """Return ours by a peer's: medians of the visits that were made beside each other.

        Args:
            peer: the other system.
            pick: a figure of which more is better.
        """
        ours = [pick(each) for each in self._visits(OURS) if each["beside"] in {peer, OURS}]
        beside = [pick(each) for each in self._visits(OURS) if each["beside"] == peer]
        own = [figure for figure in (beside if any(beside) else ours) if figure is not None]
        other = self.middle(peer, pick)
        return median(own) / other if own and other else None

    def scale(self, measure: str) -> list[Record]:
        """Return the records of a measure of ours alone."""
        return [each for each in self.records if each["kind"] == "scale" and each["measure"] == measure]

    def loads(self) -> list[Record]:
        """Return the runs of the load tester."""
        return [each for each in self.records if each["kind"] == "load"]

    def _visits(self, system: str = "") -> Iterator[Record]:
        return (each for each in self.records if each["kind"] == "visit" and system in {"", each["system"]})


def enqueue(visit: Record) -> float | None:
    """Pick items enqueued a second."""
    return visit["enqueue_per_s"] or None


def drain(workers: int) -> Pick:
    """Pick items drained a second by so many worker processes."""
    return lambda visit: visit["drain_per_s"].get(str(workers))


def latency(rate: int, share: str) -> Pick:
    """Pick a latency in ms at a rate: `p50`, `p95` or `p99`."""
    return lambda visit: (visit["latency_ms"].get(str(rate)) or {}).get(share)


def stored(visit: Record) -> float | None:
    """Pick bytes that a waiting item takes."""
    return visit["stored_bytes_per_item"] or None


def recovery(visit: Record) -> float | None:
    """Pick seconds from the death of a worker to the last of its items running elsewhere."""
    found: float | None = visit["recovery_s"]
    return found


def processor(part: str) -> Pick:
    """Pick microseconds of processor time an item that a kind of process uses with one worker."""
    return lambda visit: visit["cpu_us_per_item"].get("1", {}).get(part)


def claim_cost(records: Sequence[Record], step: str, backlog: int) -> float | None:
    """Return the median of the store's microseconds that a step costs an item at a backlog."""
    found = [each["store_cpu_us"][step] for each in records if each["backlog"] == backlog]
    return median(found) if found else None


def unary_rates(records: Sequence[Record], callers: int) -> tuple[float, float] | None:
    """Return the medians of (ours, echo) in calls a second."""
    found = [each for each in records if each["callers"] == callers]
    if not found:
        return None
    return median(each["ours_per_s"] for each in found), median(each["echo_per_s"] for each in found)
