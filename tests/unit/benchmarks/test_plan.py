"""What a load does is decided before it begins."""

import json
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import get_args

import pytest

from benchmarks.load.plan import (
    BUSINESS_ERROR,
    CRASH,
    RETRIES,
    bursts,
    draw,
    failed_attempts,
    fixed,
    poisson,
    work_time,
)
from benchmarks.load.profiles import PROFILES, Drain, NoisyNeighbour, Profile, ProfileError, Steady, WorkTimes


def test_fixed_arrivals_keep_their_distance() -> None:
    """A rate of 4 for 1 s gives four arrivals, a quarter of a second apart."""
    assert list(fixed(4, 1)) == [0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_have_exponential_gaps() -> None:
    """The mean gap is 1 / rate, and so is its standard deviation: equal distances would have none."""
    at = list(poisson(100, 100, Random(1)))
    gaps = [after - before for before, after in pairwise(at)]
    assert at == sorted(at)
    assert at[-1] < 100
    assert fmean(gaps) == pytest.approx(0.01, rel=0.05)
    assert fmean((gap - 0.01) ** 2 for gap in gaps) ** 0.5 == pytest.approx(0.01, rel=0.05)


def test_bursts_come_at_their_interval() -> None:
    """At 0 and at every interval before the end; without an interval only at 0."""
    assert list(bursts(2, 10, 30)) == [0, 0, 10, 10, 20, 20]
    assert list(bursts(3, 0, 30)) == [0, 0, 0]


@pytest.mark.parametrize("times", get_args(WorkTimes))
def test_work_times_have_the_mean_that_was_asked_for(times: WorkTimes) -> None:
    """However they are spread."""
    random = Random(1)
    assert fmean(work_time(times, 5.0, random) for _ in range(20_000)) == pytest.approx(5.0, rel=0.05)
    assert work_time(times, 0.0, random) == 0.0


def test_no_item_is_planned_to_spend_more_than_its_budget() -> None:
    """It would become a dead letter, and the plan says that it ends."""
    random = Random(1)
    failures = [failed_attempts(0.5, random) for _ in range(1000)]
    assert max(failures) == RETRIES
    assert sum(each >= 1 for each in failures) == pytest.approx(500, abs=60)


def test_a_plan_has_the_backlog_first_and_then_the_arrivals_in_order() -> None:
    """Item numbers follow the order in which items are sent."""
    plan = draw(Steady(backlog=5, rate=50, duration=2, burst_items=3, burst_every=1))
    assert list(plan.at) == sorted(plan.at)
    assert [plan.at[item] for item in range(5)] == [0] * 5
    assert sum(at == 1.0 for at in plan.at) == 3
    assert plan.due(0, 1.0) == sum(at <= 1.0 for at in plan.at)


def test_a_plan_can_be_drawn_again() -> None:
    """The same seed gives the same plan, another seed another one."""
    assert draw(Steady(duration=1)) == draw(Steady(duration=1))
    assert draw(Steady(duration=1)) != draw(Steady(duration=1, seed=2))


def test_topics_get_their_shares() -> None:
    """And the backlog goes where the profile says."""
    plan = draw(NoisyNeighbour(rate=1010, duration=10))
    arrived = plan.topics[plan.profile.backlog :]
    assert set(plan.topics[: plan.profile.backlog]) == {0}
    assert sum(arrived) == pytest.approx(len(arrived) / 101, rel=0.3)


def test_a_payload_is_the_script_of_its_item() -> None:
    """In the size that was asked for, whatever it says."""
    plan = draw(Steady(duration=1, payload_bytes=300, failure_rate=0.5, business_error_rate=0.5, crash_rate=0.1))
    for item in range(len(plan)):
        payload = plan.payload(item)
        script = json.loads(payload)
        assert len(payload) == 300
        assert (script["item"], script["fail"]) == (item, plan.failures[item])
        assert script["business"] | script["crash"] == plan.fates[item] & (BUSINESS_ERROR | CRASH)
    assert {0, BUSINESS_ERROR, CRASH} <= set(plan.fates)


@pytest.mark.parametrize("kind", PROFILES.values(), ids=PROFILES)
def test_defaults_of_every_profile_are_in_range(kind: type[Profile]) -> None:
    """And each profile says what it asks."""
    kind().check()
    assert (kind.__doc__ or "").strip()


def test_everything_that_is_out_of_range_is_named_at_once() -> None:
    """By its flag, with what was given and what is allowed."""
    with pytest.raises(ProfileError) as refused:
        Drain(workers=0, slots=20_000, lease_seconds=0.5, topics=(("a", 1), ("a", 1)), backlog_topic="b").check()
    told = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "--workers",
        "--slots",
        "--lease-seconds",
        "--topics",
        "--backlog-topic",
    ]
    assert "--workers: 0; 1 to 64" in told


def test_a_load_without_items_is_refused() -> None:
    """It would wait for ever, or say that all is well."""
    with pytest.raises(ProfileError, match="no item would ever arrive"):
        Steady(rate=0).check()
