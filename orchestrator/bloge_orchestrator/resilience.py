"""What follows a failed attempt: retry outermost, the timeout around each attempt, the fallback last."""

from dataclasses import dataclass
from random import Random

from bloge_orchestrator.durations import to_milliseconds
from bloge_orchestrator.execution.failure import Failure
from bloge_orchestrator.graph import BackoffStrategy, NodeSpec, RetryPolicy
from bloge_orchestrator.operators import Json

MAX_BACKOFF_MS = 7 * 24 * 3_600_000
"""The longest delay before a retry if the policy names none, as for work items."""

_DOUBLINGS_MAX = 64
"""More doublings of a millisecond are past every limit; they would only make large numbers."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again."""

    retries_spent: int
    """Retries of the node's budget that are gone, this one included."""
    delay_ms: int


@dataclass(frozen=True, slots=True)
class FallBack:
    """Take the fallback as the node's output."""

    value: Json


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The node has failed."""


Reaction = Retry | FallBack | GiveUp


def react(node: NodeSpec, failure: Failure, retries_spent: int, seed: str) -> Reaction:
    """Decide what follows a failure.

    Args:
        node: The node; its policy and its fallback decide.
        failure: What failed, and how many attempts it stands for.
        retries_spent: Retries of the budget that were gone before.
        seed: Makes the jitter; equal seeds give equal delays, so that a decision can be made again.

    """
    spent = retries_spent + failure.cost
    retryable = failure.retryable and failure.error.type not in node.retry.non_retryable
    if retryable and spent <= node.retry.attempts:
        delay = failure.retry_after_ms
        return Retry(spent, retry_delay_ms(node.retry, spent - 1, seed) if delay is None else delay)
    if failure.replaceable and node.fallback is not None:
        return FallBack(node.fallback.value)
    return GiveUp()


def retry_delay_ms(policy: RetryPolicy, retries: int, seed: str) -> int:
    """Give the delay before a retry in milliseconds.

    Args:
        policy: The policy.
        retries: How many retries were made before this one, from 0.
        seed: Makes the jitter.

    """
    base = to_milliseconds(policy.backoff)
    longest = MAX_BACKOFF_MS if policy.max_backoff is None else to_milliseconds(policy.max_backoff)
    grown = min(longest, base << min(retries, _DOUBLINGS_MAX))
    match policy.strategy:
        case BackoffStrategy.FIXED:
            return min(longest, base)
        case BackoffStrategy.EXPONENTIAL:
            return grown
        case BackoffStrategy.JITTER:
            return Random(seed).randint(0, grown)
