"""Decides before a run what happens in it: when each item arrives, where, what becomes of it. No I/O, no clock."""

import json
import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from random import Random

from benchmarks.load.profiles import Profile, WorkTimes

RETRIES = 3
"""The retry budget of every item; no item is planned to fail more often."""
BUSINESS_ERROR, CRASH = 1, 2
"""Bits of `Plan.fates`."""


def fixed(rate: float, duration: float) -> Iterator[float]:
    """Yield arrivals at equal distances: `rate` a second for `duration` seconds, from 0 on."""
    return (index / rate for index in range(int(rate * duration + 1e-9)))


def poisson(rate: float, duration: float, random: Random) -> Iterator[float]:
    """Yield arrivals of a Poisson process: gaps are exponential with mean 1 / `rate`."""
    at = random.expovariate(rate)
    while at < duration:
        yield at
        at += random.expovariate(rate)


def bursts(items: int, every: float, duration: float) -> Iterator[float]:
    """Yield `items` arrivals at one instant, every `every` seconds from 0 on; once if `every` is 0."""
    count = math.ceil(duration / every - 1e-9) if every else 1
    return (number * every for number in range(count) for _ in range(items))


def work_time(times: WorkTimes, mean: float, random: Random) -> float:
    """Return how long one handler takes, in the unit of the mean."""
    if times == "exponential":
        return random.expovariate(1 / mean) if mean else 0.0
    if times == "lognormal":
        return (
            random.lognormvariate(math.log(mean) - 0.5, 1.0) if mean else 0.0
        )  # mean of exp(N(mu, 1)) is exp(mu + 1/2)
    return mean


def failed_attempts(rate: float, random: Random) -> int:
    """Return how many attempts fail before one succeeds, at most the retry budget."""
    failures = 0
    while failures < RETRIES and random.random() < rate:
        failures += 1
    return failures


@dataclass(frozen=True, slots=True)
class Plan:
    """Every item of a run; item number i stands at place i of each array, in the order of arrival."""

    profile: Profile
    at: "array[float]"
    """When it arrives, seconds after the start; the backlog at 0, before the rest."""
    topics: bytearray
    """Its topic, as a place in the profile's list."""
    work_ms: "array[float]"
    """How long its handler takes."""
    failures: bytearray
    """How many of its attempts fail before one succeeds."""
    fates: bytearray
    """BUSINESS_ERROR and CRASH."""

    def __len__(self) -> int:
        return len(self.at)

    def due(self, since: int, now: float) -> int:
        """Return the number of the first item after `since` that has not arrived by `now`."""
        return bisect_right(self.at, now, lo=since)

    def payload(self, index: int) -> bytes:
        """Return what the worker is told: JSON, padded to the profile's size."""
        fate = self.fates[index]
        script = {
            "item": index,
            "ms": round(self.work_ms[index], 3),
            "fail": self.failures[index],
            "business": fate & BUSINESS_ERROR,
            "crash": fate & CRASH,
            "pad": "",
        }
        bare = json.dumps(script, separators=(",", ":"))
        return f"{bare[:-2]}{'x' * max(0, self.profile.payload_bytes - len(bare))}{bare[-2:]}".encode()


def draw(profile: Profile) -> Plan:
    """Return the plan that a profile and its seed give; the same again for the same."""
    random = Random(profile.seed)
    steady = fixed(profile.rate, profile.duration)
    if profile.arrivals == "poisson" and profile.rate:
        steady = poisson(profile.rate, profile.duration, random)
    at = array("d", [0.0]) * profile.backlog
    at.extend(merge(steady, bursts(profile.burst_items, profile.burst_every, profile.duration)))
    numbers = range(len(at))
    shares = [share for _, share in profile.topics]
    topics = bytearray(random.choices(range(len(shares)), shares, k=len(at)))
    if profile.backlog_topic:
        place = [name for name, _ in profile.topics].index(profile.backlog_topic)
        topics[: profile.backlog] = bytes([place]) * profile.backlog
    return Plan(
        profile=profile,
        at=at,
        topics=topics,
        work_ms=array("f", [work_time(profile.work_times, profile.work_ms, random) for _ in numbers]),
        failures=bytearray(failed_attempts(profile.failure_rate, random) for _ in numbers),
        fates=bytearray(
            BUSINESS_ERROR * (random.random() < profile.business_error_rate)
            | CRASH * (random.random() < profile.crash_rate)
            for _ in numbers
        ),
    )
