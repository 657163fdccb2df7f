"""L8 and L11: what happens in time. Instants of the store's clock are brought to the monotonic one, on one machine."""

from collections.abc import Iterator
from typing import Any

from chaos.evidence import Evidence
from chaos.history import Call
from chaos.judgement import Judgement
from chaos.layout import LEASE_SECONDS

_RECLAIM_SECONDS = LEASE_SECONDS + 1.0
_FIRE_SECONDS = 0.25
_SLACK = 0.01
_FIRE_STALL_SECONDS, _RECLAIM_STALL_SECONDS = 0.1, 0.5


def dead_workers_lose_their_items(evidence: Evidence) -> Judgement:
    """L8: what a dead worker held is claimable again within lease + 1 s."""
    judgement = Judgement("L8 dead workers' items")
    slowest = 0.0
    for death in evidence.deaths:
        for item, attempt in _lost_by(evidence, death):
            again = evidence.since(max(attempt["end_ms"], attempt["due_ms"] or 0))
            died = death.end
            if again is None or died is None:
                continue
            took = again - died
            # A heartbeat that is still on its way when its sender dies extends the lease when it arrives.
            delayed = evidence.is_active("delay_link", death.start, died)
            if delayed or evidence.is_out(death.start, max(again, died + _RECLAIM_SECONDS), _RECLAIM_STALL_SECONDS):
                judgement.excluded += 1
                continue
            slowest = max(slowest, took)
            judgement.check(
                took <= _RECLAIM_SECONDS + _SLACK,
                f"{item}: held by {attempt['worker']}, dead at {died:.3f}, claimable {took:.3f} s later",
            )
    judgement.worst = f"slowest {slowest:.3f} s of {_RECLAIM_SECONDS:.3f} s"
    return judgement


def _lost_by(evidence: Evidence, death: Call) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the attempts that ended by the death of a worker: the leases that it held when it died."""
    worker = f"{death.request['process']}.{death.request['life']}"
    for item, story in evidence.items.items():
        for attempt in (story.final or {}).get("attempts", []):
            if attempt["worker"] != worker or attempt["end"] != "LEASE_LOST":
                continue
            ended = evidence.since(attempt["end_ms"])
            if ended is not None and ended >= death.start:
                yield item, attempt


def deadlines_fire(evidence: Evidence) -> Judgement:
    """L11: a suspend deadline fires within 250 ms, never early, and nothing else ends an item after it."""
    judgement = Judgement("L11 deadlines fire")
    slowest = 0.0
    for item, story in evidence.items.items():
        final = story.final
        if final is None or final["deadline_ms"] is None or final["outcome"] is None:
            continue
        kind, late = final["outcome"]["kind"], (final["outcome"]["at_ms"] - final["deadline_ms"]) / 1000
        if kind != "TIMED_OUT":
            judgement.check(late <= 0, f"{item}: outcome {kind} came {late:.3f} s after the suspend deadline")
            continue
        judgement.check(late >= 0, f"{item}: TIMED_OUT came {-late:.3f} s before the suspend deadline")
        at = evidence.since(final["deadline_ms"])
        if at is None or evidence.is_out(at, at + max(late, _FIRE_SECONDS), _FIRE_STALL_SECONDS):
            judgement.excluded += 1
            continue
        slowest = max(slowest, late)
        judgement.check(late <= _FIRE_SECONDS, f"{item}: TIMED_OUT came {late:.3f} s after the suspend deadline")
    judgement.worst = f"slowest {slowest:.3f} s of {_FIRE_SECONDS:.3f} s"
    return judgement


ALL = (dead_workers_lose_their_items, deadlines_fire)
