"""What requests of the gateway say."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bloge_server.http.gateway.values import Duration, Name, PositiveDuration, Text

_MAX_LIMIT = 100
_FENCE_MAX = 2**53


class Body(BaseModel):
    """A JSON object whose members are known."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
    )


class RegisterBody(Body):
    """Announces a worker."""

    worker_id: Name
    """Unique for each life of the worker's process."""
    worker_topic: Name
    """The topic it will poll."""


class PollBody(Body):
    """Asks for jobs."""

    worker_id: Name
    """Who will run them."""
    limit: Annotated[int, Field(ge=1)] = 10
    """The most jobs; more than 100 count as 100."""
    lease_duration: PositiveDuration = timedelta(minutes=5)
    """How long they are wanted for, 1 s to 1 h; the server says in each job what it gave."""
    wait_timeout: Duration = timedelta(0)
    """How long to wait for the first job, up to PT60S."""
    request_id: Name | None = None
    """Makes the request safe to repeat within a minute: the same jobs are returned."""

    @property
    def capped_limit(self) -> int:
        """The limit that counts."""
        return min(self.limit, _MAX_LIMIT)


class LeaseBody(Body):
    """Names a lease."""

    lease_token: Text
    """The job's `claimToken`."""


class HeartbeatBody(LeaseBody):
    """Extends a lease."""

    lease_duration: PositiveDuration = timedelta(minutes=5)
    """How long from now, 1 s to 1 h."""
    progress: Any = None
    """Details for the next attempt, up to 64 KiB. Anything but null counts as progress."""


class ReportBody(LeaseBody):
    """Says how a job ended."""

    expected_revision: Annotated[int, Field(ge=0, le=_FENCE_MAX)]
    """The job's `revision`."""


class CompleteBody(ReportBody):
    """Reports an output."""

    output: Any = None
    """Any JSON value."""


class FailBody(ReportBody):
    """Reports a failure: retried within the job's budget, then a dead letter."""

    error: Text
    """What went wrong, for people; longer than 4 KiB is cut."""
    error_type: Annotated[str, Field(min_length=1, max_length=256)] = "WorkerError"
    """Its type, which a retry policy may name as not worth a retry."""
    traceback: str = ""
    """For people; longer than 16 KiB is cut."""
    non_retryable: bool = False
    """True: not worth a retry."""
    retry_after: Duration | None = None
    """Overrides the delay before the next attempt, up to 7 days."""


class ReleaseBody(LeaseBody):
    """Hands a job back unfinished, at no cost of an attempt."""

    delay: Duration = timedelta(0)
    """Time until it is due again, up to a day."""
    reason: str = ""
    """For people, up to 256 characters."""
    draining: bool = False
    """True: the worker is leaving; does not count against the limit of 100 releases."""


class RetryBody(Body):
    """Puts a dead letter back."""

    reason: Annotated[str, Field(max_length=1024)] = ""
    """Why, for the record."""
    actor: Annotated[str, Field(max_length=256)] = ""
    """Who asks for it."""
    request_id: Name | None = None
    """Makes the request safe to repeat for a day."""
    source_action_code: str | None = None
    """Kept for clients that send it; not used."""
    source_indicator_code: str | None = None
    """Kept for clients that send it; not used."""


class RetryPolicyBody(Body):
    """The retry budget of an item, and how to space its retries."""

    retry_attempts: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many retries may follow the first attempt."""
    backoff: Duration = timedelta(0)
    """The base delay before a retry, up to 7 days."""
    strategy: Literal["FIXED", "EXPONENTIAL", "JITTER"] = "FIXED"
    """How the delay grows."""
    max_backoff: Duration | None = None
    """The longest delay, up to 7 days."""
    non_retryable_error_types: Annotated[list[str], Field(max_length=32)] = []
    """Types of errors that are never retried."""


class EnqueueBody(Body):
    """Describes a work item."""

    worker_topic: Name
    """The topic whose workers may claim it."""
    item_id: Name | None = None
    """Unique within the topic: enqueueing the same again changes nothing. A random one without it."""
    payload: Any = None
    """Any JSON value: what the handler gets as its input."""
    operator_ref: Annotated[str, Field(max_length=256)] = ""
    """The business operator: the handler that is meant."""
    priority: Annotated[int, Field(ge=0, le=99)] = 50
    """Higher is claimed first."""
    retry_policy: RetryPolicyBody = RetryPolicyBody()
    """Without it the first failure makes a dead letter."""
    start_delay: Duration = timedelta(0)
    """Time until it may first be claimed, up to 365 days."""
    suspend_timeout: PositiveDuration | None = None
    """Time until its outcome is TIMED_OUT, up to 10 years."""
    attempt_timeout: Duration | None = None
    """The longest time one claim may last, 1 s to 30 days; PT0S means no limit. Without it 1 h."""
    max_lease_losses: Annotated[int, Field(ge=0, le=1000)] = 3
    """How many leases may be lost in a row without progress."""
    on_dead_letter: Literal["KEEP_SUSPENDED", "RESUME_WITH_FAILURE"] = "KEEP_SUSPENDED"
    """Whether a dead letter has an outcome at once."""
    execution_id: Name | None = None
    """For search: what the item belongs to."""
    node_id: Annotated[str, Field(max_length=256)] = ""
    """For search: the node that it runs."""
