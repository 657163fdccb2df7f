"""Records and outcomes on their way out."""

import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.lifecycle import Outcome
from bloge_server.domain.work_item import Acted, StoredItem, StoredOutcome
from bloge_server.rpc.specs import fill_spec
from bloge_server.store.errors import unknown_schema

PAGE_BYTES = 2_500_000
"""A page ends before it is larger than a reply may be; long histories have many tracebacks."""

_KINDS = {kind.value: pb.OutcomeKind.Value(f"OUTCOME_KIND_{kind.value}") for kind in Outcome}
_ENDS = {
    "COMPLETED": pb.ATTEMPT_END_COMPLETED,
    "TIMED_OUT": pb.ATTEMPT_END_DEADLINE_PASSED,
    "CANCELLED": pb.ATTEMPT_END_CANCELLED,
}


def timestamp(ms: int | None) -> Timestamp | None:
    """Return an instant; None for none."""
    if ms is None:
        return None
    seconds, rest = divmod(ms, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)


def outcome(stored: StoredOutcome) -> pb.Outcome:
    """Return an outcome in the wire's words."""
    message = pb.Outcome()
    fill_outcome(message, stored)
    return message


def fill_outcome(message: pb.Outcome, stored: StoredOutcome) -> None:
    """Write an outcome into an empty message."""
    spec = pb.WorkItemSpec.FromString(stored.spec)
    item = message.item
    item.namespace = stored.namespace
    item.worker_topic = stored.worker_topic
    item.item_id = stored.item_id
    message.kind = _KINDS[stored.kind]
    message.output = stored.output
    message.retry_count = stored.retry_count
    message.reply_group = stored.reply_group
    message.execution_id = spec.execution_id
    message.node_id = spec.node_id
    if stored.dead_reason:
        message.dead_letter_reason = dead_letter_reason(stored.dead_reason)
    if stored.status == "DONE":
        message.worker_id = stored.worker_id
    seconds, rest = divmod(stored.outcome_ms, 1000)
    at = message.outcome_time
    at.seconds = seconds
    at.nanos = rest * 1_000_000
    if stored.business_error:
        message.business_error.ParseFromString(stored.business_error)
    elif stored.kind == "FAILED":
        message.failure.CopyFrom(_last_failure(stored))


def _last_failure(stored: StoredOutcome) -> pb.Failure:
    if stored.discarded:
        return pb.Failure(type="DISCARDED", message="the dead letter was discarded", non_retryable=True)
    failures = [attempt.failure for attempt in _ended_attempts(stored.history) if attempt.HasField("failure")]
    return failures[-1] if failures else pb.Failure(type=stored.dead_reason)


def item(stored: StoredItem, *, payload: bool = True) -> pb.WorkItem:
    """Return a record in the wire's words; without payload and output for lists."""
    policy, state = stored.policy, stored.state
    message = pb.WorkItem(
        item=pb.WorkItemRef(namespace=stored.namespace, worker_topic=stored.worker_topic, item_id=stored.item_id),
        status=pb.WorkItemStatus.Value(f"WORK_ITEM_STATUS_{state.status}"),
        fence=state.fence,
        retry_count=state.retry_count,
        lease_loss_count=state.lease_loss_count,
        claim_count=state.claim_count,
        worker_id=state.worker_id,
        lease_deadline=timestamp(stored.lease_deadline_ms),
        received=state.received,
        due_time=timestamp(stored.due_ms),
        suspend_deadline=timestamp(policy.suspend_deadline_ms),
        enqueue_time=timestamp(policy.enqueued_ms),
        dead_letter_reason=dead_letter_reason(stored.dead_reason),
        dead_letter_time=timestamp(stored.dead_letter_ms),
        attempts=_attempts(stored),
        late_outputs=_late_outputs(stored, whole=payload),
        progress=stored.fields.get("progress", b""),
        replay_count=int(stored.fields.get("replay_count", b"0")),
        cancel_requested="cancel_requested" in stored.fields,
    )
    shown = stored.fields["payload"] if payload else b""
    fill_spec(message.spec, stored.fields["spec"], stored.worker_topic, stored.item_id, shown)
    if (found := stored.outcome) is not None:
        message.outcome.CopyFrom(outcome(found))
        if not payload:
            message.outcome.ClearField("output")
    return message


def last_error_type(stored: StoredItem) -> str:
    """Return the type of the last failure; empty if there was none."""
    failures = [each.failure for each in _ended_attempts(stored.fields.get("history", b"")) if each.HasField("failure")]
    return failures[-1].type if failures else ""


def dead_letter_reason(reason: str) -> pb.DeadLetterReason.ValueType:
    """Return a dead letter's reason in the wire's words; UNSPECIFIED for an empty one."""
    return pb.DeadLetterReason.Value(f"DEAD_LETTER_REASON_{reason}") if reason else pb.DEAD_LETTER_REASON_UNSPECIFIED


def _ended_attempts(history: bytes) -> list[pb.Attempt]:
    return [_attempt(json.loads(line)) for line in history.splitlines()]


def _attempt(entry: dict[str, Any]) -> pb.Attempt:
    attempt = pb.Attempt(
        attempt=entry["attempt"],
        worker_id=entry["worker"],
        fence=entry["fence"],
        claim_time=timestamp(entry["claimed"]),
        end_time=timestamp(entry["ended"]),
        end=pb.AttemptEnd.Value(f"ATTEMPT_END_{entry['end']}"),
        due_time=timestamp(entry.get("due")),
    )
    if "failure" in entry:
        attempt.failure.CopyFrom(pb.Failure(**entry["failure"]))
    return attempt


def _attempts(stored: StoredItem) -> Iterable[pb.Attempt]:
    """Return the ended attempts, then the one that runs or that an outcome ended."""
    ended = _ended_attempts(stored.fields.get("history", b""))
    state = stored.state
    last_fence = ended[-1].fence if ended else 0
    # A late heartbeat or output goes on with a claim that had ended by its lease.
    goes_on = state.status in {"CLAIMED", "DONE"}
    if state.claimed_ms is None or (state.fence == last_fence and not goes_on):
        return ended
    current = pb.Attempt(
        attempt=state.retry_count + 1,
        worker_id=state.worker_id,
        fence=state.fence,
        claim_time=timestamp(state.claimed_ms),
        end_time=timestamp(state.outcome_ms),
    )
    if state.outcome is not None:
        business = "business_error" in stored.fields
        current.end = pb.ATTEMPT_END_BUSINESS_ERROR if business else _ENDS.get(state.outcome, pb.ATTEMPT_END_FAILED)
    return [*ended, current]


def _late_outputs(stored: StoredItem, *, whole: bool) -> Iterable[pb.LateOutput]:
    for fence in stored.fields.get("late_fences", b"").decode().split():
        header, _, output = stored.fields[f"late_output:{fence}"].partition(b"\n")
        arrived, size, worker, reason = header.decode().split(" ")
        yield pb.LateOutput(
            fence=int(fence),
            worker_id=worker,
            arrival_time=timestamp(int(arrived)),
            output=output if whole else b"",
            size_bytes=int(size),
            reason=reason,
        )


def not_found(ref: pb.WorkItemRef) -> RemoteWorkersError:
    """Return the refusal of an item that is not there."""
    return RemoteWorkersError(Reason.NOT_FOUND, f"there is no work item {ref.item_id!r} in topic {ref.worker_topic!r}")


def refusal(ref: pb.WorkItemRef, acted: Acted) -> RemoteWorkersError:
    """Return why an item could not be acted on."""
    if acted.answer == "NOT_FOUND":
        return not_found(ref)
    if acted.answer == "UNKNOWN_SCHEMA":
        return unknown_schema(ref.item_id)
    if acted.answer == "NO_OUTPUT":
        return RemoteWorkersError(Reason.NOT_FOUND, f"work item {ref.item_id!r} keeps no late output of that fence")
    outcome = "no outcome" if acted.outcome == "-" else f"outcome {acted.outcome}"
    return RemoteWorkersError(
        Reason.WRONG_STATUS,
        f"work item {ref.item_id!r} is {acted.status} with {outcome}",
        metadata={"status": acted.status, "outcome": acted.outcome.strip("-")},
    )
