"""How one work item is printed, with its history."""

from collections.abc import Iterable, Iterator
from datetime import UTC

import click
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.cli.output import counted, print_json, safe
from bloge_orchestrator.cli.problems import CommandFailed

_TEXT_LENGTH = 4_000


def print_item(item: pb.WorkItem, *, as_json: bool) -> None:
    """Print one work item with its history."""
    if as_json:
        print_json(MessageToDict(item))
    else:
        click.echo(safe("\n".join([*_header(item), *_attempts(item.attempts), *_late_outputs(item.late_outputs)])))


def _header(item: pb.WorkItem) -> Iterator[str]:
    payload = item.spec.payload
    shown = payload[:_TEXT_LENGTH].decode(errors="replace") + ("..." if len(payload) > _TEXT_LENGTH else "")
    facts = {
        "topic": f"{item.item.worker_topic} (namespace {item.item.namespace})",
        "status": status_of(item),
        "reason": reason_of(item.dead_letter_reason),
        "since": time_of(item.dead_letter_time),
        "outcome": pb.OutcomeKind.Name(item.outcome.kind).removeprefix("OUTCOME_KIND_") if item.outcome.kind else "",
        "node": item.spec.node_id,
        "operator": item.spec.operator_ref,
        "execution": item.spec.execution_id,
        "enqueued": time_of(item.enqueue_time),
        "due": time_of(item.due_time),
        "deadline": time_of(item.suspend_deadline),
        "retries": f"{item.retry_count} of {item.spec.retry_policy.attempts}, {item.claim_count} claims",
        "replays": str(item.replay_count or ""),
        "payload": f"{counted(len(payload), 'byte')}: {shown}",
    }
    yield f"work item {item.item.item_id}"
    yield from (f"  {name + ':':<11}{fact}" for name, fact in facts.items() if fact)


def _attempts(attempts: Iterable[pb.Attempt]) -> Iterator[str]:
    for attempt in attempts:
        end = pb.AttemptEnd.Name(attempt.end).removeprefix("ATTEMPT_END_") if attempt.end else "RUNNING"
        times = f"{time_of(attempt.claim_time)} to {time_of(attempt.end_time) or 'now'}"
        yield f"attempt {attempt.attempt} by {attempt.worker_id}, {times}: {end}"
        if attempt.HasField("failure"):
            yield f"  {failure_text(attempt.failure)}"
            yield from (f"    {line}" for line in attempt.failure.traceback.splitlines())


def _late_outputs(late_outputs: Iterable[pb.LateOutput]) -> Iterator[str]:
    for late in late_outputs:
        size = counted(late.size_bytes, "byte")
        arrived = time_of(late.arrival_time)
        yield f"late output of fence {late.fence} by {late.worker_id}, {arrived}: {late.reason}, {size}"
        yield f"  {late.output[:_TEXT_LENGTH].decode(errors='replace')}"


def only_late_output(item: pb.WorkItem) -> pb.LateOutput:
    """Give the late output of an item that has one.

    Raises:
        CommandFailed: If it has none, or several.

    """
    if len(item.late_outputs) == 1:
        return item.late_outputs[0]
    if not item.late_outputs:
        raise CommandFailed(f"{item.item.item_id} keeps no late output; replay it instead")
    fences = ", ".join(str(late.fence) for late in item.late_outputs)
    raise CommandFailed(f"{item.item.item_id} keeps several late outputs; choose one with --fence: {fences}")


def print_adopted(outcome: pb.Outcome, *, as_json: bool) -> None:
    """Print what an adoption came to."""
    if as_json:
        print_json(MessageToDict(outcome))
    else:
        click.echo(f"adopted: {outcome.item.item_id} is completed with the output of {safe(outcome.worker_id)}")


def status_of(item: pb.WorkItem) -> str:
    """Write where an item stands."""
    return pb.WorkItemStatus.Name(item.status).removeprefix("WORK_ITEM_STATUS_")


def last_error(item: pb.WorkItem) -> str:
    """Write an item's last failure; nothing for none."""
    failures = [attempt.failure for attempt in item.attempts if attempt.HasField("failure")]
    return failure_text(failures[-1]) if failures else ""


def failure_text(failure: pb.Failure) -> str:
    """Write a failure on one line."""
    return f"{failure.type}: {failure.message}" if failure.message else failure.type


def reason_of(reason: pb.DeadLetterReason.ValueType) -> str:
    """Write why an item is a dead letter; nothing if it is none."""
    return pb.DeadLetterReason.Name(reason).removeprefix("DEAD_LETTER_REASON_") if reason else ""


def time_of(stamp: Timestamp) -> str:
    """Write an instant in UTC; nothing for none."""
    if not stamp.seconds:
        return ""
    return stamp.ToDatetime(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def age_of(duration: Duration) -> str:
    """Write how long something lasts by now, for people: `4s`, `3m 20s`, `2h 5m`, `3d 1h`."""
    seconds = duration.seconds
    for unit, smaller, size, small in (("d", "h", 86_400, 3_600), ("h", "m", 3_600, 60), ("m", "s", 60, 1)):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size}{unit}" + (f" {rest}{smaller}" if rest else "")
    return f"{seconds}s"
