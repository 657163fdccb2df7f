"""What the gateway answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Reply(BaseModel):
    """A JSON object."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        use_attribute_docstrings=True,
    )


class Registered(Reply):
    """A worker that was noted."""

    worker_id: str
    worker_topic: str
    tenant_id: str | None
    """As the request's X-Tenant-Id says; tenants are namespaces here."""
    namespace: str
    assignments: list[dict[str, Any]]
    """Always empty: topics, not deployments, bind workers to nodes."""


class Job(Reply):
    """A claimed work item."""

    item_id: str
    """`<worker topic>:<item id>`."""
    claim_owner: str
    """The worker that holds it."""
    claim_token: str
    """Names the lease in every report. Keep it secret."""
    claim_until: str | None
    """When the lease ends, by the store's clock. Better count from when the request was sent."""
    status: str
    priority: int
    retry_count: int
    """Retries spent so far."""
    max_retries: int
    """How many attempts there are altogether: retries and the first one."""
    revision: int
    """The claim's fence; it stays the same until the item is claimed again."""
    last_error: str | None
    """The last failure."""
    envelope: Any
    """The payload: for a graph's node its envelope, else whatever was enqueued."""
    payload_base64: str | None
    """The payload if it is not JSON."""
    created_at: str | None
    updated_at: str | None
    """When it was claimed."""


class DeadLetter(Reply):
    """A work item that needs a person."""

    item_id: str
    instance_id: str | None
    """Its execution."""
    definition_key: str | None
    version_id: str | None
    tenant_id: str | None
    namespace: str
    business_key: str | None
    shard_id: str
    """Its worker topic."""
    item_type: str
    node_id: str | None
    wait_id: str | None
    """Always null: nodes wait for their item."""
    task_id: str | None
    """Always null: there are no tasks of people."""
    priority: int
    retry_count: int
    max_retries: int
    payload: Any
    """The payload, if it is JSON and the page is not too large by then."""
    payload_ref: str | None
    """Where the whole item can be read."""
    last_error: str | None
    dead_letter_reason: str
    first_seen_at: str | None
    """When it was enqueued."""
    dead_lettered_at: str | None


class Retried(Reply):
    """A dead letter that was put back."""

    item_id: str
    instance_id: str | None
    retried_item_count: int
    idempotent_replay: bool
    """True if an earlier request with the same id did it."""
    attempt_status: str
    status: str
    request_id: str | None
    failure_phase: str | None
    failure_class: str | None
    failure_message: str | None
    recorded_at: str | None


class Enqueued(Reply):
    """A work item that is there."""

    item_id: str
    created: bool
    """False if it was there already, with the same content."""


class OutcomeReply(Reply):
    """What became of a work item."""

    kind: str
    """COMPLETED, FAILED, TIMED_OUT or CANCELLED."""
    output: Any
    """COMPLETED: the output, if it is JSON."""
    output_base64: str | None
    """The output if it is not."""
    error_type: str | None
    """FAILED: the type of the failure, or the code of a business error."""
    error: str | None
    """FAILED: what went wrong."""
    details: Any
    """FAILED by a business error: what the worker says besides."""
    dead_letter_reason: str | None
    retry_count: int
    worker_id: str | None
    outcome_at: str | None


class WorkItem(Reply):
    """A work item as it stands."""

    item_id: str
    status: str
    """READY, CLAIMED, RETRY_WAIT, DONE, DEAD_LETTER or CANCELLED."""
    outcome: OutcomeReply | None
    """Null while it is open."""
    priority: int
    retry_count: int
    max_retries: int
    revision: int
    claim_owner: str | None
    """The worker that holds it or last held it."""
    claim_until: str | None
    due_at: str | None
    """RETRY_WAIT: when it is due."""
    suspend_deadline: str | None
    dead_letter_reason: str | None
    last_error: str | None
    execution_id: str | None
    node_id: str | None
    operator_ref: str | None
    payload: Any
    payload_base64: str | None
    created_at: str | None


class Problem(Reply):
    """Why a request was refused."""

    error_code: str
    """NOT_FOUND, VALIDATION_FAILED, INVALID_STATE, CONFLICT, BACKLOG_FULL, RUNTIME_UNAVAILABLE, ..."""
    message: str
    """The cause and the fix, for people."""
    status: int
    timestamp: str
    path: str
    details: list[str]
    """A line for each field that is wrong."""
    reason: str | None = None
    """Which of the reasons of docs/errors.md it is, if it is one."""
