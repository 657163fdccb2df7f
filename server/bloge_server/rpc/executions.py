"""Executions on their way out, and what lists of them are chosen by."""

import base64

from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.execution import Execution, ExecutionStatus, ListPlace
from bloge_server.domain.lifecycle import Status
from bloge_server.rpc import items
from bloge_server.rpc.fields import Checks

_PREFIX = "EXECUTION_STATUS_"


def execution(namespace: str, found: Execution, *, brief: bool = False) -> pb.Execution:
    """Return an execution in the wire's words; without its output for lists."""
    record, item = found.record, found.item
    status = found.status
    message = pb.Execution(
        execution_id=record.execution_id,
        namespace=namespace,
        graph_name=record.facts.graph_name,
        graph_hash=record.facts.graph_hash,
        business_key=record.facts.business_key,
        status=status_of(status),
        owner=found.owner,
        start_time=items.timestamp(record.start_ms),
        end_time=items.timestamp(record.end_ms or item.state.outcome_ms) if status.ended else None,
        next_sequence=record.next_sequence,
        worker_topic=record.facts.worker_topic,
        cancel_requested="cancel_requested" in item.fields,
        cancel_reason=item.fields.get("cancel_reason", b"").decode(),
    )
    if item.state.status is Status.DEAD_LETTER:
        message.dead_letter_reason = items.dead_letter_reason(item.dead_reason)
    if status is ExecutionStatus.FAILED:
        message.failure_message = _failure_message(found)
    elif status.ended and not brief:
        message.output = item.fields.get("output", b"")
    return message


def _failure_message(found: Execution) -> str:
    error = found.item.fields.get("business_error")
    if error is not None:
        return work_item_pb2.BusinessError.FromString(error).message
    return "its work item was discarded" if found.item.state.outcome is not None else ""


def status_of(status: ExecutionStatus) -> pb.ExecutionStatus.ValueType:
    """Return where an execution stands in the wire's words."""
    return pb.ExecutionStatus.Value(f"{_PREFIX}{status}")


def wanted_status(checks: Checks, status: pb.ExecutionStatus.ValueType) -> ExecutionStatus | None:
    """Return the only status that a list is to have; None for any."""
    if not status:
        return None
    try:
        return ExecutionStatus(pb.ExecutionStatus.Name(status).removeprefix(_PREFIX))
    except ValueError:
        checks.wrong("status", f"is not a value this release knows: {status}")
        return None


def list_token(place: ListPlace) -> str:
    """Return the page token that stands for a place."""
    return base64.urlsafe_b64encode(f"{place.start_ms}/{place.execution_id}".encode()).decode()


def list_place(checks: Checks, token: str) -> ListPlace:
    """Return the place that a page token stands for; the beginning for an empty one."""
    if not token:
        return ListPlace()
    try:
        start_ms, execution_id = base64.urlsafe_b64decode(token).decode().split("/")
        return ListPlace(int(start_ms), execution_id)
    except ValueError:
        checks.wrong("page_token", "must be empty or from the previous page's reply")
        return ListPlace()
