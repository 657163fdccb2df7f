"""The operator embedded in every remote node: it turns an evaluated input into the envelope a worker receives."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bloge_orchestrator.durations import iso_duration
from bloge_orchestrator.graph import NodeSpec, OnDeadLetter, RetryPolicy
from bloge_orchestrator.operators import ExecutionContext, Json

MAX_ENVELOPE_BYTES = 1_310_720
"""The largest payload that a server can be set to take."""


class EnvelopeError(ValueError):
    """An envelope cannot be written: its input is not plain JSON or too large, or its time has no time zone."""


@dataclass(frozen=True, slots=True)
class RemoteWorkerOperator:
    """Stands in a compiled graph for the business operator that only workers have.

    `operator_ref` is the business name, kept as written and never looked up; `timeout` is the suspend deadline's
    distance from the moment the node is suspended, None for a node that may wait for ever.
    """

    operator_ref: str
    worker_topic: str
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: timedelta | None = None
    on_dead_letter: OnDeadLetter = OnDeadLetter.KEEP_SUSPENDED

    @classmethod
    def of(cls, node: NodeSpec) -> "RemoteWorkerOperator":
        """Make the operator of a remote node, whose worker topic the compiler has checked."""
        assert node.worker_topic is not None
        return cls(node.operator_ref, node.worker_topic, node.retry, node.timeout, node.on_dead_letter)

    def envelope(self, node_input: Json, execution_context: ExecutionContext, created_at: datetime) -> bytes:
        """Write the JSON envelope, UTF-8 and without blanks; the same arguments always give the same bytes.

        Args:
            node_input: The node's evaluated input, plain JSON.
            execution_context: Where the node runs.
            created_at: The instant of creation, with its time zone; written in UTC with milliseconds.

        Raises:
            EnvelopeError: If `node_input` is not plain JSON or too large, or `created_at` has no time zone.

        """
        members = {
            "operatorRef": self.operator_ref,
            "workerTopic": self.worker_topic,
            "input": node_input,
            "retryPolicy": _retry_policy(self.retry),
            "executionContext": execution_context.to_json(),
            "createdAt": _instant(created_at),
        }
        try:
            envelope = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise EnvelopeError(f"input of {execution_context.node_id} is not plain JSON: {error}") from error
        if len(envelope) > MAX_ENVELOPE_BYTES:
            raise EnvelopeError(
                f"input of {execution_context.node_id}: with it the envelope has {len(envelope)} bytes, and no server"
                f" takes more than {MAX_ENVELOPE_BYTES}; keep large data elsewhere and pass a reference"
            )
        return envelope


def _retry_policy(retry: RetryPolicy) -> dict[str, Json]:
    return {
        "retryAttempts": retry.attempts,
        "backoff": iso_duration(retry.backoff),
        "strategy": retry.strategy.value,
    }


def _instant(instant: datetime) -> str:
    if instant.tzinfo is None:
        raise EnvelopeError("created_at has no time zone; pass an aware datetime")
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
