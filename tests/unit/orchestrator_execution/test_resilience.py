"""What follows a failure."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.graph import BackoffStrategy, Fallback, NodeKind, NodeSpec, RetryPolicy
from bloge_orchestrator.resilience import MAX_BACKOFF_MS, FallBack, GiveUp, Reaction, Retry, react, retry_delay_ms

BACKOFF = timedelta(milliseconds=100)
FAILURE = Failure(NodeError("ValueError"))


def node(attempts: int, *, fallback: bool = False) -> NodeSpec:
    """Return a node with a retry budget, and with a fallback of 7 if it has one."""
    policy = RetryPolicy(attempts, BACKOFF, non_retryable=("Fatal",))
    return NodeSpec("n", "Op", NodeKind.LOCAL, retry=policy, fallback=Fallback(7) if fallback else None)


@pytest.mark.parametrize(
    ("spec", "failure", "spent", "expected"),
    [
        (node(0), FAILURE, 0, GiveUp()),
        (node(0, fallback=True), FAILURE, 0, FallBack(7)),
        (node(1), FAILURE, 0, Retry(1, 100)),
        (node(1), FAILURE, 1, GiveUp()),
        (node(3), replace(FAILURE, cost=3), 0, Retry(3, 100)),
        (node(3), replace(FAILURE, cost=4), 0, GiveUp()),
        (node(3, fallback=True), replace(FAILURE, cost=2), 2, FallBack(7)),
        (node(3), replace(FAILURE, retryable=False), 0, GiveUp()),
        (node(3, fallback=True), replace(FAILURE, retryable=False), 0, FallBack(7)),
        (node(3, fallback=True), replace(FAILURE, retryable=False, replaceable=False), 0, GiveUp()),
        (node(3), Failure(NodeError("Fatal")), 0, GiveUp()),
        (node(3), replace(FAILURE, retry_after_ms=5), 0, Retry(1, 5)),
        (node(3), replace(FAILURE, retry_after_ms=0), 0, Retry(1, 0)),
    ],
)
def test_retry_then_fallback_then_failure(spec: NodeSpec, failure: Failure, spent: int, expected: Reaction) -> None:
    """Retries come first while the budget lasts, then the fallback, then the end."""
    assert react(spec, failure, spent, "seed") == expected


def test_a_fallback_of_null_is_a_fallback() -> None:
    """Null is an output like any other."""
    spec = NodeSpec("n", "Op", NodeKind.LOCAL, fallback=Fallback(None))
    assert react(spec, FAILURE, 0, "seed") == FallBack(None)


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [(BackoffStrategy.FIXED, [100, 100, 100, 100, 100]), (BackoffStrategy.EXPONENTIAL, [100, 200, 400, 500, 500])],
)
def test_delays_grow_up_to_the_longest(strategy: BackoffStrategy, delays: list[int]) -> None:
    """Doubling stops at max_backoff."""
    policy = RetryPolicy(9, BACKOFF, strategy, timedelta(milliseconds=500))
    assert [retry_delay_ms(policy, retries, "seed") for retries in range(5)] == delays


def test_a_fixed_backoff_is_bounded_too() -> None:
    """A max_backoff below the backoff wins."""
    assert retry_delay_ms(RetryPolicy(1, BACKOFF, max_backoff=timedelta(milliseconds=30)), 0, "seed") == 30


@given(retries=st.integers(0, 1000), seed=st.text(max_size=8))
def test_jitter_stays_below_the_exponential_delay(retries: int, seed: str) -> None:
    """Equal seeds give equal delays, so that a decision can be made again."""
    jitter = RetryPolicy(1000, BACKOFF, BackoffStrategy.JITTER)
    longest = retry_delay_ms(RetryPolicy(1000, BACKOFF, BackoffStrategy.EXPONENTIAL), retries, seed)
    delay = retry_delay_ms(jitter, retries, seed)
    assert 0 <= delay <= longest <= MAX_BACKOFF_MS
    assert delay == retry_delay_ms(jitter, retries, seed)


def test_jitter_spreads() -> None:
    """Different executions do not retry in step."""
    policy = RetryPolicy(1, timedelta(hours=1), BackoffStrategy.JITTER)
    assert len({retry_delay_ms(policy, 0, f"e-{number}") for number in range(50)}) > 40
