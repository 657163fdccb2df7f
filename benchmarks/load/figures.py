"""What a run comes to, in figures. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from benchmarks.load.ledger import NOT_ENDED, Accounts, Ledger
from benchmarks.load.profiles import Profile
from benchmarks.load.sampler import Sample
from benchmarks.samples import Spread, slope

_MINUTE = 60
_SETTLED_SHARE = 0.3
"""Memory is judged from here on: caches and pools fill first."""


@dataclass(frozen=True, slots=True)
class Moments:
    """When things happened, seconds after the start."""

    fill_seconds: float
    """How long the enqueue of the backlog took; before the start, or 0."""
    restarts: int
    """Workers that were started again."""
    outage_began: float | None = None
    outage_ended: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """A run in figures."""

    profile: Profile
    accounts: Accounts
    moments: Moments
    latencies: Mapping[str, Spread | None]
    """By topic, ms from planned arrival to outcome; without the backlog."""
    last_end: float
    """When the last item ended, seconds after the start."""
    ends_per_second: float
    """Ends a second, from the first outcome to the last."""
    fill_per_second: float | None
    """Items of the backlog enqueued a second; None without a backlog."""
    redelivered: int
    strangers: int
    lag: Spread | None
    """How late enqueues went out, ms; if it is large, the load and not the server was too slow."""
    most_claimed: int
    cpu_share: Mapping[str, float]
    """Processor time over the run, as a share of one core, by kind of process."""
    cpu_us_per_item: Mapping[str, float]
    memory_slope: Mapping[str, float]
    """Bytes a minute that each kind of process grew by once it had settled."""
    drained_after: float | None
    """Seconds from the end of the outage until all that had arrived before it had ended; None without an outage."""

    def record(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {**asdict(self), "profile": self.profile.name, "settings": self.profile.settings()}


def compute(
    ledger: Ledger, accounts: Accounts, moments: Moments, samples: Sequence[Sample], lags_ms: Sequence[float]
) -> Figures:
    """Return what a run comes to."""
    ends = sorted(at for at in ledger.ended_at if at != NOT_ENDED) or [0.0]
    profile = ledger.plan.profile
    cpu = cpu_used(samples)
    seconds = max(1e-9, samples[-1].at - samples[0].at)
    return Figures(
        profile=profile,
        accounts=accounts,
        moments=moments,
        latencies=ledger.spreads(),
        last_end=ends[-1],
        ends_per_second=len(ends) / max(1e-9, ends[-1] - ends[0]),
        fill_per_second=profile.backlog / moments.fill_seconds if profile.backlog else None,
        redelivered=ledger.redelivered,
        strangers=ledger.strangers,
        lag=Spread.of(lags_ms),
        most_claimed=max(sum(topic.claimed for topic in sample.topics.values()) for sample in samples),
        cpu_share={name: used / seconds for name, used in cpu.items()},
        cpu_us_per_item={name: used / max(1, accounts.ended) * 1e6 for name, used in cpu.items()},
        memory_slope={name: memory_slope(samples, name) for name in samples[-1].resident},
        drained_after=_drained_after(ledger, moments),
    )


def cpu_used(samples: Sequence[Sample]) -> dict[str, float]:
    """Return processor seconds by kind of process; what a killed process had used is not lost with it."""
    used: dict[str, float] = {}
    for before, after in pairwise(samples):
        for name, seconds in after.cpu_s.items():
            used[name] = used.get(name, 0.0) + max(0.0, seconds - before.cpu_s.get(name, 0.0))
    return used


def memory_slope(samples: Sequence[Sample], name: str) -> float:
    """Return by how many bytes a minute a kind of process grew once it had settled."""
    settled = samples[int(len(samples) * _SETTLED_SHARE) :]
    return slope([(sample.at / _MINUTE, sample.resident[name]) for sample in settled if name in sample.resident])


def _drained_after(ledger: Ledger, moments: Moments) -> float | None:
    if moments.outage_ended is None:
        return None
    waiting = range(ledger.plan.due(0, moments.outage_ended))
    return max((ledger.ended_at[item] for item in waiting), default=0.0) - moments.outage_ended
