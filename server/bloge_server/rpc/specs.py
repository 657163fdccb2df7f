"""Work items on their way in: the wire's description, checked, to what the store takes."""

import base64
import hashlib
from collections.abc import Mapping
from typing import TypeVar

from bloge.remote_workers.v1 import execution_service_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.work_item import NewItem
from bloge_server.rpc.fields import DAY_MS, YEAR_MS, Checks, check_size

_Number = TypeVar("_Number", bound=int)

_DEFAULT_PRIORITY = 50
_MAX_PRIORITY = 99
_MAX_RETRIES = 1000
_DEFAULT_LEASE_LOSSES = 3
_DEFAULT_ATTEMPT_TIMEOUT_MS = 3_600_000
_MAX_ERROR_TYPES = 32
_LONG_NAME = 256
_TYPES = {
    pb.WORK_ITEM_TYPE_UNSPECIFIED: "EXECUTE_NODE",
    pb.WORK_ITEM_TYPE_EXECUTE_NODE: "EXECUTE_NODE",
    pb.WORK_ITEM_TYPE_EXECUTE_GRAPH: "EXECUTE_GRAPH",
}
_STRATEGIES = {
    pb.BACKOFF_STRATEGY_UNSPECIFIED: "FIXED",
    pb.BACKOFF_STRATEGY_FIXED: "FIXED",
    pb.BACKOFF_STRATEGY_EXPONENTIAL: "EXPONENTIAL",
    pb.BACKOFF_STRATEGY_JITTER: "JITTER",
}
_ON_DEAD_LETTER = {
    pb.ON_DEAD_LETTER_UNSPECIFIED: "KEEP_SUSPENDED",
    pb.ON_DEAD_LETTER_KEEP_SUSPENDED: "KEEP_SUSPENDED",
    pb.ON_DEAD_LETTER_RESUME_WITH_FAILURE: "RESUME_WITH_FAILURE",
}


def new_item(spec: pb.WorkItemSpec, checks: Checks, max_payload_bytes: int) -> NewItem:
    """Return what the store takes for a description; what is wrong goes to `checks`.

    The description loses its payload, id and topic: the store keeps the one apart and finds the item by the others.

    Args:
        spec: the description.
        checks: collects what is wrong; its prefix says where the description stands in the request.
        max_payload_bytes: the largest payload.

    Raises:
        RemoteWorkersError: TOO_LARGE for the payload.
    """
    payload = spec.payload
    check_size(f"{checks.prefix}payload", len(payload), max_payload_bytes)
    checks.name("item_id", spec.item_id)
    checks.name("worker_topic", spec.worker_topic)
    item_type = _chosen(checks, "item_type", _TYPES, spec.item_type)
    policies = (
        item_type,
        checks.number("priority", spec.priority, 0, _MAX_PRIORITY) if spec.HasField("priority") else _DEFAULT_PRIORITY,
        checks.duration("start_delay", spec.start_delay, 0, YEAR_MS) if spec.HasField("start_delay") else 0,
        _suspend_timeout(spec, checks),
        _attempt_timeout(spec, checks, item_type),
        *_retry(spec, checks),
        _lease_losses(spec, checks),
        _chosen(checks, "on_dead_letter", _ON_DEAD_LETTER, spec.on_dead_letter),
        checks.optional_name("reply_group", spec.reply_group, "-"),
        _fatal_types(spec, checks),
    )
    _check_search_fields(spec, checks)
    item_id = spec.item_id
    for kept_apart in ("payload", "item_id", "worker_topic"):
        spec.ClearField(kept_apart)
    return NewItem(item_id, content_digest(policies, payload), spec.SerializeToString(), payload, *policies)


def check_trace_context(message: pb.WorkItemSpec | execution_service_pb2.StartRequest, checks: Checks) -> None:
    """Note what is wrong with the trace context of a message; it may have none."""
    checks.text("trace_context.traceparent", message.trace_context.traceparent, 128)
    checks.text("trace_context.tracestate", message.trace_context.tracestate, 512)


def fill_spec(spec: pb.WorkItemSpec, stored: bytes, worker_topic: str, item_id: str, payload: bytes) -> None:
    """Write the description of a stored item into an empty message, with what the store keeps apart from it."""
    spec.ParseFromString(stored)
    spec.worker_topic = worker_topic
    spec.item_id = item_id
    spec.payload = payload


def content_digest(policies: tuple[object, ...], payload: bytes) -> str:
    """Return the digest of what makes two enqueues equal; trace context and instants are not part of it."""
    digest = hashlib.blake2b(repr(policies).encode(), digest_size=16)
    digest.update(payload)
    return base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")


def _chosen(checks: Checks, path: str, names: Mapping[_Number, str], value: _Number) -> str:
    if value not in names:
        checks.wrong(path, f"is not a value this release knows: {value}")
        return ""
    return names[value]


def _suspend_timeout(spec: pb.WorkItemSpec, checks: Checks) -> int:
    if not spec.HasField("suspend_timeout"):
        return 0
    return checks.duration("suspend_timeout", spec.suspend_timeout, 1, 10 * YEAR_MS)


def _attempt_timeout(spec: pb.WorkItemSpec, checks: Checks, item_type: str) -> int:
    if not spec.HasField("attempt_timeout"):
        return 0 if item_type == "EXECUTE_GRAPH" else _DEFAULT_ATTEMPT_TIMEOUT_MS
    if not spec.attempt_timeout.seconds and not spec.attempt_timeout.nanos:
        return 0
    return checks.duration("attempt_timeout", spec.attempt_timeout, 1000, 30 * DAY_MS)


def _lease_losses(spec: pb.WorkItemSpec, checks: Checks) -> int:
    if not spec.HasField("max_lease_losses"):
        return _DEFAULT_LEASE_LOSSES
    return checks.number("max_lease_losses", spec.max_lease_losses, 0, _MAX_RETRIES)


def _retry(spec: pb.WorkItemSpec, checks: Checks) -> tuple[int, str]:
    """Return the retries and the packed backoff."""
    if not spec.HasField("retry_policy"):
        return 0, "FIXED:0:0"
    policy = spec.retry_policy
    retries = checks.number("retry_policy.attempts", policy.attempts, 0, _MAX_RETRIES)
    backoff = checks.duration("retry_policy.backoff", policy.backoff, 0, 7 * DAY_MS)
    most = checks.duration("retry_policy.max_backoff", policy.max_backoff, 0, 7 * DAY_MS)
    return retries, f"{_chosen(checks, 'retry_policy.strategy', _STRATEGIES, policy.strategy)}:{backoff}:{most}"


def _fatal_types(spec: pb.WorkItemSpec, checks: Checks) -> str:
    types = spec.retry_policy.non_retryable_error_types if spec.HasField("retry_policy") else ()
    if not types:
        return ""
    path = "retry_policy.non_retryable_error_types"
    checks.batch(path, len(types), _MAX_ERROR_TYPES)
    for index, each in enumerate(types):
        if not each or len(each) > _LONG_NAME or "\n" in each:
            checks.wrong(f"{path}[{index}]", f"must be 1 to {_LONG_NAME} characters on one line")
    return "\n".join(types)


def _check_search_fields(spec: pb.WorkItemSpec, checks: Checks) -> None:
    checks.optional_name("execution_id", spec.execution_id, "")
    checks.text("node_id", spec.node_id, _LONG_NAME)
    checks.text("operator_ref", spec.operator_ref, _LONG_NAME)
    check_trace_context(spec, checks)
