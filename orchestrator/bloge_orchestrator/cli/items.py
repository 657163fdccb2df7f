"""`bloge items`."""

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.cli.connecting import about_topic, with_control_plane
from bloge_orchestrator.cli.item_view import (
    last_error,
    only_late_output,
    print_adopted,
    print_item,
    status_of,
    time_of,
)
from bloge_orchestrator.cli.options import Connection, action_options, connection_options, json_option
from bloge_orchestrator.cli.output import counted, print_json, print_rows, safe
from bloge_orchestrator.cli.problems import FAILED
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.outcome_watch import ItemRef

_COLUMNS = ("ITEM", "STATUS", "NODE", "OPERATOR", "PRIORITY", "RETRIES", "WORKER", "UNTIL", "ENQUEUED", "LAST ERROR")
_OPEN = {
    "ready": pb.WORK_ITEM_STATUS_READY,
    "claimed": pb.WORK_ITEM_STATUS_CLAIMED,
    "retry-wait": pb.WORK_ITEM_STATUS_RETRY_WAIT,
    "dead-letter": pb.WORK_ITEM_STATUS_DEAD_LETTER,
}
_STATUSES = {**_OPEN, "done": pb.WORK_ITEM_STATUS_DONE, "cancelled": pb.WORK_ITEM_STATUS_CANCELLED}
_PRIORITY = 50


@click.group()
def items() -> None:
    """See work items with their history, cancel them, take their late outputs."""


@items.command("list")
@click.argument("topic")
@click.option(
    "--status", type=click.Choice(list(_STATUSES)), multiple=True, help="Only these; may be given more than once."
)
@click.option("--worker", default="", help="Only those that this worker holds or last held.")
@click.option("--max", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="The most items.")
@connection_options
@json_option
def list_(
    topic: str, status: tuple[str, ...], worker: str, limit: int, connection: Connection, *, as_json: bool
) -> None:
    """List the items of a topic, open ones if no status is named.

    Ready ones come in the order in which they are claimed, others as they fall due, finished ones latest first.
    """

    async def work(control_plane: ControlPlane) -> list[pb.WorkItem]:
        found: list[pb.WorkItem] = []
        for wanted in status or _OPEN:
            async for item in control_plane.operations.items(connection.namespace, topic, _STATUSES[wanted], worker):
                if len(found) == limit:
                    return found
                found.append(item)
        return found

    found = about_topic(connection, topic, work)
    if as_json:
        print_json([MessageToDict(item) for item in found])
    elif found:
        print_rows(_COLUMNS, map(_row, found))
    else:
        click.echo(f"no such items in {topic}", err=True)


@items.command()
@click.argument("topic")
@click.argument("item_id")
@connection_options
@json_option
def show(topic: str, item_id: str, connection: Connection, *, as_json: bool) -> None:
    """Show one item: its attempts with their workers, times and errors, its late outputs, its payload."""
    ref = ItemRef(connection.namespace, topic, item_id)
    print_item(about_topic(connection, topic, lambda control_plane: control_plane.get(ref)), as_json=as_json)


@items.command()
@click.argument("topic")
@click.argument("item_ids", nargs=-1, required=True)
@click.option("--reason", default="", help="Why, for the record.")
@connection_options
@json_option
def cancel(topic: str, item_ids: tuple[str, ...], reason: str, connection: Connection, *, as_json: bool) -> None:
    """Cancel open items: their outcome is CANCELLED, and workers that run them are told to stop."""
    refs = [ItemRef(connection.namespace, topic, item_id) for item_id in dict.fromkeys(item_ids)]
    refusals = with_control_plane(connection, lambda control_plane: control_plane.cancel(refs, reason))
    refused = {ref.item_id: each for ref, each in zip(refs, refusals, strict=True) if each is not None}
    if as_json:
        told = {item_id: {"reason": each.reason.value, "message": each.message} for item_id, each in refused.items()}
        print_json({"cancelled": len(refs) - len(refused), "refused": told})
    else:
        click.echo(
            f"{counted(len(refs) - len(refused), 'item')} cancelled" + (f", {len(refused)} refused" if refused else "")
        )
        for item_id, each in refused.items():
            click.echo(safe(f"  {item_id}: {each.message}"), err=True)
    if refused:
        raise SystemExit(FAILED)


@items.command()
@click.argument("topic")
@click.argument("item_id")
@click.option("--fence", type=click.IntRange(min=1), default=None, help="Which late output, if the item has several.")
@action_options
@connection_options
@json_option
def adopt(
    topic: str, item_id: str, fence: int | None, action: ops.Action, connection: Connection, *, as_json: bool
) -> None:
    """Take a late output that was kept with a dead letter as its outcome, instead of running it again."""
    ref = ItemRef(connection.namespace, topic, item_id)

    async def work(control_plane: ControlPlane) -> pb.Outcome:
        chosen = fence or only_late_output(await control_plane.get(ref)).fence
        request = ops.AdoptLateOutputRequest(item=ref.to_proto(), fence=chosen, action=action)
        return (await control_plane.adopt_late_output(request)).outcome

    print_adopted(about_topic(connection, topic, work), as_json=as_json)


def _row(item: pb.WorkItem) -> tuple[str, ...]:
    return (
        item.item.item_id,
        status_of(item),
        item.spec.node_id,
        item.spec.operator_ref,
        str(item.spec.priority if item.spec.HasField("priority") else _PRIORITY),
        f"{item.retry_count}/{item.spec.retry_policy.attempts}",
        item.worker_id if item.status == pb.WORK_ITEM_STATUS_CLAIMED else "",
        time_of(item.lease_deadline) or time_of(item.due_time),
        time_of(item.enqueue_time),
        last_error(item),
    )
