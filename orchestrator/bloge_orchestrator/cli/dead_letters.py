"""`bloge dead-letters`."""

from collections.abc import Callable, Coroutine
from typing import Any

import click

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.cli import dead_letter_view as view
from bloge_orchestrator.cli.connecting import with_control_plane
from bloge_orchestrator.cli.dead_letter_acts import Acted, act_on_each_topic, find, pages, topics_of
from bloge_orchestrator.cli.item_view import only_late_output, print_adopted, print_item
from bloge_orchestrator.cli.options import (
    Connection,
    Selection,
    action_options,
    connection_options,
    json_option,
    read_text,
    selection_options,
)
from bloge_orchestrator.cli.problems import FAILED, CommandFailed
from bloge_orchestrator.control_plane import ControlPlane

_ITEMS_MAX = 10_000

_topic_option = click.option("--topic", default="", help="The item's worker topic; looked for if left out.")
_dry_run_option = click.option("--dry-run", is_flag=True, help="Only count what would be done.")
_max_option = click.option(
    "--max", "max_items", type=click.IntRange(1, _ITEMS_MAX), default=500, show_default=True, help="The most items."
)


@click.group("dead-letters")
def dead_letters() -> None:
    """See and settle the work items that need a person."""


@dead_letters.command("list")
@selection_options
@click.option("--max", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="The most items.")
@connection_options
@json_option
def list_(selection: Selection, limit: int, connection: Connection, *, as_json: bool) -> None:
    """List dead letters, oldest first within each topic."""

    async def work(control_plane: ControlPlane) -> None:
        found = [item async for item in pages(control_plane, connection.namespace, selection, limit)]
        view.print_items(found, as_json=as_json)

    with_control_plane(connection, work)


@dead_letters.command()
@selection_options
@connection_options
@json_option
def count(selection: Selection, connection: Connection, *, as_json: bool) -> None:
    """Count dead letters by topic, reason and error type, the most first."""
    request = ops.GroupDeadLettersRequest(
        namespace=connection.namespace, worker_topic=selection.worker_topic, filter=selection.criteria
    )
    found = with_control_plane(connection, lambda control_plane: control_plane.operations.dead_letter_groups(request))
    view.print_groups(found, as_json=as_json)


@dead_letters.command()
@click.argument("item_id")
@_topic_option
@connection_options
@json_option
def show(item_id: str, topic: str, connection: Connection, *, as_json: bool) -> None:
    """Show one work item: its attempts with their workers, times and errors, and its late outputs."""

    async def work(control_plane: ControlPlane) -> None:
        ref = await find(control_plane, connection.namespace, topic, item_id)
        print_item(await control_plane.get(ref), as_json=as_json)

    with_control_plane(connection, work)


@dead_letters.command()
@click.argument("item_ids", nargs=-1)
@selection_options
@_dry_run_option
@click.option("--rate", type=click.IntRange(1, 10_000), default=None, help="Spread them: items a second.")
@_max_option
@click.option("--payload", metavar="TEXT|@FILE", default=None, help="A new payload, for exactly one item.")
@click.option("--patch", metavar="JSON|@FILE", default=None, help="A JSON merge patch for the payload of each item.")
@action_options
@connection_options
@json_option
def replay(  # noqa: PLR0913, PLR0917 - click hands over each option by its name
    item_ids: tuple[str, ...],
    selection: Selection,
    rate: int | None,
    max_items: int,
    payload: str | None,
    patch: str | None,
    action: ops.Action,
    connection: Connection,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put dead letters back: those named, or those that the filters find."""
    _check_selection(item_ids, selection)
    if payload is not None and len(item_ids) != 1:
        raise click.UsageError("--payload goes with exactly one item id; --patch changes the payloads of many")
    if payload is not None and patch is not None:
        raise click.UsageError("--payload replaces and --patch changes what is there: give one of them")
    request = ops.ReplayDeadLettersRequest(
        namespace=connection.namespace,
        filter=selection.criteria,
        dry_run=dry_run,
        rate_per_second=rate or 0,
        payload=None if payload is None else _payload(payload),
        payload_patch=b"" if patch is None else _payload(patch),
        action=action,
    )

    async def call(control_plane: ControlPlane, topic: str, most: int) -> Acted:
        request.worker_topic, request.max_items = topic, most
        reply = await control_plane.replay_dead_letters(request)
        return Acted(reply.replayed_count, reply.refused_count, list(reply.refusals))

    _act(connection, item_ids, selection, max_items, call, view.Wording("replayed", dry_run=dry_run, as_json=as_json))


@dead_letters.command()
@click.argument("item_ids", nargs=-1)
@selection_options
@_dry_run_option
@_max_option
@action_options
@connection_options
@json_option
def discard(
    item_ids: tuple[str, ...],
    selection: Selection,
    max_items: int,
    action: ops.Action,
    connection: Connection,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Drop dead letters: those named, or those that the filters find.

    A node that still waits for one resumes with a failure.
    """
    _check_selection(item_ids, selection)
    request = ops.DiscardDeadLettersRequest(
        namespace=connection.namespace, filter=selection.criteria, dry_run=dry_run, action=action
    )

    async def call(control_plane: ControlPlane, topic: str, most: int) -> Acted:
        request.worker_topic, request.max_items = topic, most
        reply = await control_plane.discard_dead_letters(request)
        return Acted(reply.discarded_count, reply.refused_count, list(reply.refusals))

    _act(connection, item_ids, selection, max_items, call, view.Wording("discarded", dry_run=dry_run, as_json=as_json))


@dead_letters.command()
@click.argument("item_id")
@_topic_option
@click.option("--fence", type=click.IntRange(min=1), default=None, help="Which late output, if the item has several.")
@action_options
@connection_options
@json_option
def adopt(
    item_id: str, topic: str, fence: int | None, action: ops.Action, connection: Connection, *, as_json: bool
) -> None:
    """Take a late output that was kept with a dead letter as its outcome, instead of running it again."""

    async def work(control_plane: ControlPlane) -> None:
        ref = await find(control_plane, connection.namespace, topic, item_id)
        chosen = fence or only_late_output(await control_plane.get(ref)).fence
        request = ops.AdoptLateOutputRequest(item=ref.to_proto(), fence=chosen, action=action)
        print_adopted((await control_plane.adopt_late_output(request)).outcome, as_json=as_json)

    with_control_plane(connection, work)


def _check_selection(item_ids: tuple[str, ...], selection: Selection) -> None:
    selection.criteria.item_ids.extend(item_ids)
    if selection.criteria == ops.DeadLetterFilter():
        raise click.UsageError(
            "say which: name item ids, or give at least one of --error-type, --operator and --execution"
        )


def _payload(given: str) -> bytes:
    return (read_text(given[1:]) if given.startswith("@") else given).encode()


def _act(
    connection: Connection,
    item_ids: tuple[str, ...],
    selection: Selection,
    max_items: int,
    call: Callable[[ControlPlane, str, int], Coroutine[Any, Any, Acted]],
    wording: view.Wording,
) -> None:
    async def work(control_plane: ControlPlane) -> Acted:
        topics = await topics_of(control_plane, connection.namespace, selection)
        return await act_on_each_topic(topics, max_items, lambda topic, most: call(control_plane, topic, most))

    acted = with_control_plane(connection, work)
    view.print_acted(acted, wording)
    missing = len(set(item_ids)) - acted.count - acted.refused
    if missing > 0:
        raise CommandFailed(f"{missing} of the items named are no dead letters")
    if acted.refused:
        raise SystemExit(FAILED)
