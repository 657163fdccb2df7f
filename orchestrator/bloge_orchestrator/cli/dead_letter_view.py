"""How dead letters are printed."""

from collections.abc import Sequence
from dataclasses import dataclass

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.cli.dead_letter_acts import Acted
from bloge_orchestrator.cli.item_view import last_error, reason_of, time_of
from bloge_orchestrator.cli.output import counted, print_json, print_rows, safe

_COLUMNS = ("ITEM", "TOPIC", "NODE", "OPERATOR", "REASON", "ATTEMPTS", "SINCE", "LAST ERROR")

_GROUP_COLUMNS = ("ERROR", "REASON", "TOPIC", "DEAD LETTERS", "SETTLED", "FIRST", "LAST", "EXAMPLE")


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


def print_groups(groups: Sequence[ops.DeadLetterGroup], *, as_json: bool) -> None:
    """Print how many dead letters there are of each kind."""
    if as_json:
        print_json([MessageToDict(group, always_print_fields_with_no_presence=True) for group in groups])
    elif groups:
        print_rows(_GROUP_COLUMNS, map(_group_row, groups))
    else:
        click.echo("no dead letters match", err=True)


def _group_row(group: ops.DeadLetterGroup) -> tuple[str, ...]:
    return (
        group.error_type,
        reason_of(group.reason),
        group.worker_topic,
        str(group.count),
        str(group.settled_count),
        time_of(group.first_time),
        time_of(group.last_time),
        group.last_item_id,
    )


def _row(item: pb.WorkItem) -> tuple[str, ...]:
    return (
        item.item.item_id,
        item.item.worker_topic,
        item.spec.node_id,
        item.spec.operator_ref,
        reason_of(item.dead_letter_reason),
        str(item.retry_count + 1),
        time_of(item.dead_letter_time),
        last_error(item),
    )


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
