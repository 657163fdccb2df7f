"""How dead letters are printed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.cli.dead_letter_acts import Acted
from bloge_orchestrator.cli.output import counted, print_json, print_rows, safe
from bloge_orchestrator.cli.problems import CommandFailed

_COLUMNS = ("ITEM", "TOPIC", "NODE", "OPERATOR", "REASON", "ATTEMPTS", "SINCE", "LAST ERROR")
_TEXT_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class Wording:
    """How an act is told."""

    done: str
    """The act in the past tense."""
    dry_run: bool
    as_json: bool


def print_items(items: Sequence[pb.WorkItem], *, as_json: bool) -> None:
    """Print a list of dead letters."""
    if as_json:
        print_json([MessageToDict(item) for item in items])
    elif items:
        print_rows(_COLUMNS, map(_row, items))
    else:
        click.echo("no dead letters", err=True)


def _row(item: pb.WorkItem) -> tuple[str, ...]:
    return (
        item.item.item_id,
        item.item.worker_topic,
        item.spec.node_id,
        item.spec.operator_ref,
        _reason(item.dead_letter_reason),
        str(item.retry_count + 1),
        _time(item.dead_letter_time),
        _last_error(item),
    )


def _last_error(item: pb.WorkItem) -> str:
    failures = [attempt.failure for attempt in item.attempts if attempt.HasField("failure")]
    return _failure(failures[-1]) if failures else ""


def _failure(failure: pb.Failure) -> str:
    return f"{failure.type}: {failure.message}" if failure.message else failure.type


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
        "status": pb.WorkItemStatus.Name(item.status).removeprefix("WORK_ITEM_STATUS_"),
        "reason": _reason(item.dead_letter_reason),
        "since": _time(item.dead_letter_time),
        "outcome": pb.OutcomeKind.Name(item.outcome.kind).removeprefix("OUTCOME_KIND_") if item.outcome.kind else "",
        "node": item.spec.node_id,
        "operator": item.spec.operator_ref,
        "execution": item.spec.execution_id,
        "enqueued": _time(item.enqueue_time),
        "deadline": _time(item.suspend_deadline),
        "retries": f"{item.retry_count} of {item.spec.retry_policy.attempts}, {item.claim_count} claims",
        "replays": str(item.replay_count or ""),
        "payload": f"{counted(len(payload), 'byte')}: {shown}",
    }
    yield f"work item {item.item.item_id}"
    yield from (f"  {name + ':':<11}{fact}" for name, fact in facts.items() if fact)


def _attempts(attempts: Iterable[pb.Attempt]) -> Iterator[str]:
    for attempt in attempts:
        end = pb.AttemptEnd.Name(attempt.end).removeprefix("ATTEMPT_END_") if attempt.end else "RUNNING"
        times = f"{_time(attempt.claim_time)} to {_time(attempt.end_time) or 'now'}"
        yield f"attempt {attempt.attempt} by {attempt.worker_id}, {times}: {end}"
        if attempt.HasField("failure"):
            yield f"  {_failure(attempt.failure)}"
            yield from (f"    {line}" for line in attempt.failure.traceback.splitlines())


def _late_outputs(late_outputs: Iterable[pb.LateOutput]) -> Iterator[str]:
    for late in late_outputs:
        size = counted(late.size_bytes, "byte")
        arrived = _time(late.arrival_time)
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


def print_acted(acted: Acted, wording: Wording) -> None:
    """Print what a replay or a discard came to."""
    if wording.as_json:
        refusals = [MessageToDict(refusal) for refusal in acted.refusals]
        document = {wording.done: acted.count, "refused": acted.refused, "refusals": refusals}
        print_json({**document, "dryRun": wording.dry_run})
        return
    would = "would be " if wording.dry_run else ""
    refused = f", {acted.refused} refused" if acted.refused else ""
    click.echo(f"{counted(acted.count, 'dead letter')} {would}{wording.done}{refused}")
    for refusal in acted.refusals:
        click.echo(safe(f"  {refusal.item.item_id}: {refusal.error.message}"), err=True)


def _reason(reason: pb.DeadLetterReason.ValueType) -> str:
    return pb.DeadLetterReason.Name(reason).removeprefix("DEAD_LETTER_REASON_") if reason else ""


def _time(stamp: Timestamp) -> str:
    """Write an instant in UTC; nothing for none."""
    if not stamp.seconds:
        return ""
    return stamp.ToDatetime(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
