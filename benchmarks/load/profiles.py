"""What a load does. Each profile is one shape of load; its defaults suit a laptop, and each field is a flag."""

from dataclasses import dataclass, fields
from typing import Any, Literal

Arrivals = Literal["fixed", "poisson"]
WorkTimes = Literal["fixed", "exponential", "lognormal"]
Topics = tuple[tuple[str, int], ...]

MOST_ITEMS = 10_000_000
_MOST_TOPICS = 64
_MOST_PAYLOAD = 1_310_720
_LEAST_PAYLOAD = 64
_LONGEST_LEASE = 3600.0


class ProfileError(ValueError):
    """A setting of a load is out of range."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The settings that all loads share."""

    backlog: int = 0
    """Items enqueued before the first worker starts, 0 to 10,000,000."""
    rate: float = 0.0
    """Items that arrive a second once the workers run, 0 to 100,000. They never wait for answers."""
    duration: float = 20.0
    """For how many seconds items arrive, 0.1 to 86,400. The run goes on until each has ended."""
    arrivals: Arrivals = "poisson"
    """`fixed`: at equal distances. `poisson`: at random, as independent callers do."""
    burst_items: int = 0
    """Items that arrive at one instant, besides the rate, 0 to 1,000,000."""
    burst_every: float = 0.0
    """Seconds from one burst to the next; 0: one burst, at the start."""
    topics: Topics = (("load", 1),)
    """Topics with their shares of the items, for example `noisy:100,small:1`; at most 64."""
    backlog_topic: str = ""
    """The topic of the whole backlog; empty: spread like the rest."""
    workers: int = 1
    """Worker processes, 1 to 64. Each serves all topics."""
    slots: int = 200
    """Items that one worker holds at once, 1 to 10,000."""
    idle_workers: int = 0
    """Sessions of workers besides that wait for items which never come, 0 to 10,000."""
    payload_bytes: int = 256
    """Size of a payload, 64 to 1,310,720."""
    work_ms: float = 0.0
    """How long a handler takes on average, 0 to 3,600,000 ms."""
    work_times: WorkTimes = "fixed"
    """How that time is spread: `fixed`, `exponential`, or `lognormal` with a long tail (sigma 1)."""
    failure_rate: float = 0.0
    """Share of attempts that fail, 0 to 0.9. The last attempt of the budget of 3 retries succeeds."""
    business_error_rate: float = 0.0
    """Share of items that end with a business error, 0 to 1."""
    crash_rate: float = 0.0
    """Share of items whose first delivery kills its worker process, 0 to 0.1. It is started again at once."""
    lease_seconds: float = 0.0
    """Lease that workers ask for, 1 to 3600 s; 0: the server's default."""
    outage_after: float = 0.0
    """Seconds after the start at which every worker is killed; 0: never."""
    outage_seconds: float = 0.0
    """For how long there are no workers then."""
    patience: float = 120.0
    """Seconds without a single outcome, while items are open, after which the run gives up, 1 to 86,400."""
    seed: int = 1
    """Everything that is drawn, is drawn from it."""

    @property
    def name(self) -> str:
        """What the profile is called on the command line."""
        words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(self).__name__)
        return words.lstrip("-")

    def settings(self) -> dict[str, Any]:
        """Return each setting with its value, as JSON takes it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def check(self) -> None:
        """Check every setting.

        Raises:
            ProfileError: names each one that is out of range, and the range.
        """
        problems = [
            f"--{name.replace('_', '-')}: {value!r}; {rule}" for ok, name, value, rule in self._rules() if not ok
        ]
        if problems:
            raise ProfileError("\n".join(problems))

    def _rules(self) -> list[tuple[bool, str, object, str]]:
        names = [name for name, _ in self.topics]
        lease = self.lease_seconds
        bursts = self.duration / self.burst_every + 1 if self.burst_every else 1
        arriving = self.backlog + self.rate * self.duration + self.burst_items * bursts
        ranges = [
            (low <= getattr(self, name) <= high, name, getattr(self, name), f"{low:,} to {high:,}")
            for name, (low, high) in _RANGES.items()
        ]
        return [
            *ranges,
            (arriving > 0, "rate", self.rate, "no item would ever arrive: set a rate, a backlog or a burst"),
            (arriving <= MOST_ITEMS, "rate", self.rate, f"at most {MOST_ITEMS:,} items in all"),
            (lease == 0 or 1 <= lease <= _LONGEST_LEASE, "lease_seconds", lease, "0, or 1 to 3600"),
            (1 <= len(set(names)) == len(names) <= _MOST_TOPICS, "topics", names, "1 to 64 different names"),
            (all(share > 0 for _, share in self.topics), "topics", self.topics, "shares are at least 1"),
            (self.backlog_topic in {"", *names}, "backlog_topic", self.backlog_topic, "one of the topics"),
        ]


_RANGES: dict[str, tuple[float, float]] = {
    "backlog": (0, MOST_ITEMS),
    "rate": (0, 100_000),
    "duration": (0.1, 86_400),
    "burst_items": (0, 1_000_000),
    "burst_every": (0, 86_400),
    "workers": (1, 64),
    "slots": (1, 10_000),
    "idle_workers": (0, 10_000),
    "payload_bytes": (_LEAST_PAYLOAD, _MOST_PAYLOAD),
    "work_ms": (0, 3_600_000),
    "failure_rate": (0, 0.9),
    "business_error_rate": (0, 1),
    "crash_rate": (0, 0.1),
    "outage_after": (0, 86_400),
    "outage_seconds": (0, 86_400),
    "patience": (1, 86_400),
}


@dataclass(frozen=True, kw_only=True)
class Drain(Profile):
    """A backlog is enqueued, then workers start: how fast does it go down?"""

    backlog: int = 50_000


@dataclass(frozen=True, kw_only=True)
class Steady(Profile):
    """Items arrive at one rate: what does an item wait? Run it for long to see whether memory stays flat."""

    rate: float = 500.0


@dataclass(frozen=True, kw_only=True)
class Burst(Profile):
    """A calm rate, and every few seconds many items at one instant."""

    rate: float = 100.0
    duration: float = 30.0
    burst_items: int = 3000
    burst_every: float = 10.0
    work_ms: float = 2.0


@dataclass(frozen=True, kw_only=True)
class FanOut(Profile):
    """One caller wants 5,000 items done at once and waits for all of them: when does the last one end?

    The items have one reply group, as those of one graph have; no orchestrator takes part.
    """

    duration: float = 1.0
    burst_items: int = 5000


@dataclass(frozen=True, kw_only=True)
class Outage(Profile):
    """Every worker of a topic is killed for a while under load: how long until what piled up is done?"""

    rate: float = 300.0
    duration: float = 40.0
    workers: int = 2
    slots: int = 50
    work_ms: float = 5.0
    lease_seconds: float = 5.0
    outage_after: float = 10.0
    outage_seconds: float = 10.0


@dataclass(frozen=True, kw_only=True)
class NoisyNeighbour(Profile):
    """Two topics share the workers, 100 to 1, and the large one has more than they can do: what does the small wait?"""

    rate: float = 404.0
    duration: float = 30.0
    topics: Topics = (("noisy", 100), ("small", 1))
    backlog: int = 3000
    backlog_topic: str = "noisy"
    workers: int = 2
    slots: int = 4
    work_ms: float = 20.0


@dataclass(frozen=True, kw_only=True)
class SlowHandlers(Profile):
    """10,000 handlers run at once: what do their leases cost while nothing else happens?"""

    backlog: int = 10_000
    workers: int = 2
    slots: int = 5000
    work_ms: float = 60_000.0


@dataclass(frozen=True, kw_only=True)
class IdleWorkers(Profile):
    """1,000 workers wait for items of another topic: what do they cost, and does a light load notice them?"""

    rate: float = 50.0
    duration: float = 30.0
    idle_workers: int = 1000


@dataclass(frozen=True, kw_only=True)
class LargePayloads(Profile):
    """Payloads of half a mebibyte."""

    rate: float = 20.0
    payload_bytes: int = 524_288
    slots: int = 20


PROFILES: dict[str, type[Profile]] = {
    kind().name: kind
    for kind in (Drain, Steady, Burst, FanOut, Outage, NoisyNeighbour, SlowHandlers, IdleWorkers, LargePayloads)
}
"""Every profile by its name."""
