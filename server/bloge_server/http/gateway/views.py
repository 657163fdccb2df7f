"""Items of the wire, as the gateway shows them."""

from collections.abc import Iterable
from typing import Any

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.gateway.replies import DeadLetter, Job, OutcomeReply, WorkItem
from bloge_server.http.gateway.values import ItemId, decoded, instant_of


def item_id_of(item: pb.WorkItem) -> str:
    """Return what names an item over HTTP."""
    return str(ItemId(item.item.worker_topic, item.item.item_id))


def job(item: pb.WorkItem, token: str) -> Job:
    """Return a claimed item.

    Args:
        item: as it stands.
        token: of its lease.
    """
    envelope, payload_base64 = decoded(item.spec.payload)
    return Job(
        item_id=item_id_of(item),
        claim_owner=item.worker_id,
        claim_token=token,
        claim_until=instant_of(item.lease_deadline),
        status=_status(item),
        priority=_priority(item),
        retry_count=item.retry_count,
        max_retries=_max_retries(item),
        revision=item.fence,
        last_error=_last_error(item.attempts),
        envelope=envelope,
        payload_base64=payload_base64,
        created_at=instant_of(item.enqueue_time),
        updated_at=instant_of(item.attempts[-1].claim_time) if item.attempts else None,
    )


def dead_letter(item: pb.WorkItem, *, whole: bool) -> DeadLetter:
    """Return a dead letter; its payload only if it is whole."""
    payload = decoded(item.spec.payload).value if whole else None
    context = _execution_context(payload)
    return DeadLetter(
        item_id=item_id_of(item),
        instance_id=item.spec.execution_id or None,
        definition_key=context.get("definitionKey"),
        version_id=context.get("versionId"),
        tenant_id=context.get("tenantId"),
        namespace=item.item.namespace,
        business_key=context.get("businessKey"),
        shard_id=item.item.worker_topic,
        item_type=item_type(item),
        node_id=item.spec.node_id or None,
        wait_id=None,
        task_id=None,
        priority=_priority(item),
        retry_count=item.retry_count,
        max_retries=_max_retries(item),
        payload=payload,
        payload_ref=f"/api/v1/work-items/{item_id_of(item)}",
        last_error=_last_error(item.attempts),
        dead_letter_reason=_reason(item.dead_letter_reason) or "",
        first_seen_at=instant_of(item.enqueue_time),
        dead_lettered_at=instant_of(item.dead_letter_time),
    )


def work_item(item: pb.WorkItem) -> WorkItem:
    """Return an item as it stands."""
    payload, payload_base64 = decoded(item.spec.payload)
    return WorkItem(
        item_id=item_id_of(item),
        status=_status(item),
        outcome=_outcome(item.outcome) if item.HasField("outcome") else None,
        priority=_priority(item),
        retry_count=item.retry_count,
        max_retries=_max_retries(item),
        revision=item.fence,
        claim_owner=item.worker_id or None,
        claim_until=instant_of(item.lease_deadline),
        due_at=instant_of(item.due_time),
        suspend_deadline=instant_of(item.suspend_deadline),
        dead_letter_reason=_reason(item.dead_letter_reason),
        last_error=_last_error(item.attempts),
        execution_id=item.spec.execution_id or None,
        node_id=item.spec.node_id or None,
        operator_ref=item.spec.operator_ref or None,
        payload=payload,
        payload_base64=payload_base64,
        created_at=instant_of(item.enqueue_time),
    )


def item_type(item: pb.WorkItem) -> str:
    """Return an item's type."""
    return pb.WorkItemType.Name(item.spec.item_type or pb.WORK_ITEM_TYPE_EXECUTE_NODE).removeprefix("WORK_ITEM_TYPE_")


def _outcome(outcome: pb.Outcome) -> OutcomeReply:
    output, output_base64 = decoded(outcome.output)
    business = outcome.business_error if outcome.HasField("business_error") else None
    failure = outcome.failure if outcome.HasField("failure") else None
    return OutcomeReply(
        kind=pb.OutcomeKind.Name(outcome.kind).removeprefix("OUTCOME_KIND_"),
        output=output,
        output_base64=output_base64,
        error_type=business.code if business else failure.type if failure else None,
        error=business.message if business else failure.message if failure else None,
        details=decoded(business.details).value if business else None,
        dead_letter_reason=_reason(outcome.dead_letter_reason),
        retry_count=outcome.retry_count,
        worker_id=outcome.worker_id or None,
        outcome_at=instant_of(outcome.outcome_time),
    )


def _status(item: pb.WorkItem) -> str:
    return pb.WorkItemStatus.Name(item.status).removeprefix("WORK_ITEM_STATUS_")


def _priority(item: pb.WorkItem) -> int:
    return item.spec.priority if item.spec.HasField("priority") else 50


def _max_retries(item: pb.WorkItem) -> int:
    """Return the number of attempts altogether: the original system counts so."""
    return item.spec.retry_policy.attempts + 1


def _reason(reason: pb.DeadLetterReason.ValueType) -> str | None:
    return pb.DeadLetterReason.Name(reason).removeprefix("DEAD_LETTER_REASON_") if reason else None


def _last_error(attempts: Iterable[pb.Attempt]) -> str | None:
    failures = [attempt.failure for attempt in attempts if attempt.HasField("failure")]
    if not failures:
        return None
    last = failures[-1]
    return f"{last.type}: {last.message}" if last.message else last.type


def _execution_context(payload: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    context = payload.get("executionContext") if isinstance(payload, dict) else None
    return {name: value for name, value in (context or {}).items() if isinstance(value, str)}
