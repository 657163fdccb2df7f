"""What retries, releases and deadlines cost an item, and when it becomes a dead letter."""

import pytest

from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.waiting import until
from support.wire import Wire, seconds


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [
        (pb.BACKOFF_STRATEGY_FIXED, [10, 10, 10]),
        (pb.BACKOFF_STRATEGY_EXPONENTIAL, [10, 20, 25]),
        (pb.BACKOFF_STRATEGY_JITTER, [None, None, None]),
    ],
)
def test_retries_are_spaced_as_the_policy_says(
    wire: Wire, strategy: pb.BackoffStrategy.ValueType, delays: list[int | None]
) -> None:
    """Fixed, doubling up to the most, or anywhere below the doubling one."""
    policy = pb.RetryPolicy(attempts=5, backoff=seconds(10), strategy=strategy, max_backoff=seconds(25))
    for retries, delay in enumerate(delays):
        wire.put(f"i{retries}", retry_policy=policy)
        lease = wire.claim_one()
        for _ in range(retries):
            wire.fail(lease, retry_after=seconds(0))
            lease = wire.claim_one()
        (verdict,) = wire.fail(lease)
        found = verdict.retry_delay.ToMilliseconds() / 1000
        assert found == delay if delay is not None else 0 <= found <= min(25, 10 * 2**retries)


def test_a_retry_after_the_suspend_deadline_is_not_planned(wire: Wire) -> None:
    """Nobody would use it: the item is a dead letter at once, and says why."""
    policy = pb.RetryPolicy(attempts=5, backoff=seconds(60))
    wire.put("a", retry_policy=policy, suspend_timeout=seconds(30))
    (verdict,) = wire.fail(wire.claim_one())
    assert verdict.status == pb.WORK_ITEM_STATUS_DEAD_LETTER
    assert wire.get().dead_letter_reason == pb.DEAD_LETTER_REASON_RETRY_PAST_DEADLINE


def test_a_dead_letter_keeps_its_node_waiting_or_resumes_it(wire: Wire) -> None:
    """As the enqueuer wished."""
    wire.put("kept")
    wire.put("told", on_dead_letter=pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE)
    wire.fail(*wire.claim(2), kind="Boom", message="m")
    assert wire.await_outcome("kept", wait=0) is None
    outcome = wire.await_outcome("told")
    assert outcome is not None
    assert (outcome.kind, outcome.failure.type, outcome.failure.message) == (pb.OUTCOME_KIND_FAILED, "Boom", "m")
    assert outcome.dead_letter_reason == pb.DEAD_LETTER_REASON_BUDGET_SPENT


def test_a_dead_letter_times_out_at_its_suspend_deadline(wire: Wire) -> None:
    """The node goes on; the letter stays for people."""
    wire.put("a", suspend_timeout=seconds(0.5))
    wire.fail(wire.claim_one())
    outcome = wire.await_outcome()
    assert outcome is not None
    assert outcome.kind == pb.OUTCOME_KIND_TIMED_OUT
    assert outcome.dead_letter_reason == pb.DEAD_LETTER_REASON_BUDGET_SPENT
    assert wire.status() == "DEAD_LETTER"


@pytest.mark.parametrize(("draining", "end"), [(False, "DEAD_LETTER"), (True, "READY")])
def test_an_item_that_nobody_wants_becomes_a_dead_letter(wire: Wire, *, draining: bool, end: str) -> None:
    """After a hundred releases; those of workers that leave do not count."""
    wire.put("a")
    for _ in range(101):
        wire.release(wire.claim_one(), draining=draining)
    assert wire.status() == end
    if not draining:
        assert wire.get().dead_letter_reason == pb.DEAD_LETTER_REASON_RELEASED_TOO_OFTEN


def test_a_released_item_keeps_its_place(wire: Wire) -> None:
    """It comes before what was enqueued after it; finished work counts even after a release."""
    wire.put("a", "b")
    lease = wire.claim_one()
    wire.release(lease)
    assert wire.claim_one().spec.item_id == "a"
    wire.put("c")
    second = wire.claim_one()
    wire.release(second)
    assert wire.complete(second)[0].reason == 0
    assert wire.claim_one().spec.item_id == "c"


def test_a_start_delay_and_a_release_delay_are_waited_for(wire: Wire) -> None:
    """The item is ready when it is due, in its place."""
    wire.put("a", start_delay=seconds(0.3))
    assert wire.claim() == []
    lease = wire.claim_one(wait=20)
    wire.release(lease, delay=seconds(0.3))
    assert wire.status() == "RETRY_WAIT"
    until(wire.claim, "the delay is over")


def test_a_business_error_of_an_unknown_shape_is_refused(wire: Wire) -> None:
    """Without a code the graph could not branch on it; too many details do not fit."""
    wire.put("a")
    lease = wire.claim_one()
    assert wire.business_error(lease)[0].reason != 0
    assert wire.business_error(lease, code="C", details=b"x" * 65_537)[0].reason != 0
    assert wire.business_error(lease, code="C", details=b"1")[0].reason == 0
