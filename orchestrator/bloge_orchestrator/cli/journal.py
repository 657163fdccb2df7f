"""`bloge journal`."""

import asyncio

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.cli.connecting import with_control_plane
from bloge_orchestrator.cli.item_view import time_of
from bloge_orchestrator.cli.options import Connection, connection_options, json_option
from bloge_orchestrator.cli.output import print_json, safe
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.errors import ControlPlaneUnreachableError

_PREFIX = "TOPIC_EVENT_KIND_"
_KINDS = {
    name.removeprefix(_PREFIX).lower().replace("_", "-"): kind for name, kind in ops.TopicEventKind.items() if kind
}
_RECONNECT_SECONDS = 1.0
_AWAY = frozenset({Reason.STORE_UNAVAILABLE, Reason.SERVER_DRAINING})


@click.command()
@click.option("--topic", default="", help="Only this worker topic.")
@click.option("--item", "item_id", default="", help="Only events of this item.")
@click.option("--execution", "reply_group", default="", help="Only events of this execution's items.")
@click.option("--worker", "worker_id", default="", help="Only events of this worker.")
@click.option("--kind", "kinds", type=click.Choice(list(_KINDS)), multiple=True, help="Only these; may be repeated.")
@click.option(
    "--last", type=click.IntRange(0, 10_000), default=20, show_default=True, help="Begin with about so many events."
)
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, until interrupted.")
@click.option("--position", default="", help="Go on behind an earlier position, which --json prints.")
@connection_options
@json_option
def journal(  # noqa: PLR0913, PLR0917 - click hands over each option by its name
    topic: str,
    item_id: str,
    reply_group: str,
    worker_id: str,
    kinds: tuple[str, ...],
    last: int,
    position: str,
    connection: Connection,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """Tell what happened to work items lately, in order, and with --follow what happens.

    With --json each line is an event with its position.
    """
    request = ops.TailJournalRequest(
        namespace=connection.namespace,
        worker_topic=topic,
        item_id=item_id,
        reply_group=reply_group,
        worker_id=worker_id,
        kinds=[_KINDS[kind] for kind in kinds],
        last_events=last,
        position=position,
        follow=follow,
    )

    async def tell(control_plane: ControlPlane) -> None:
        async for reply in control_plane.operations.journal(request):
            for event in reply.events:
                _print(event, reply.position, as_json=as_json)
            request.position = reply.position

    async def work(control_plane: ControlPlane) -> None:
        """Tell; a live view outlives a server and goes on where it stood."""
        while True:
            try:
                return await tell(control_plane)
            except (ControlPlaneUnreachableError, RemoteWorkersError) as error:
                if not follow or not request.position or _is_final(error):
                    raise
                click.echo(f"{error}; trying again", err=True)
                await asyncio.sleep(_RECONNECT_SECONDS)

    with_control_plane(connection, work)


def _is_final(error: Exception) -> bool:
    return isinstance(error, RemoteWorkersError) and error.reason not in _AWAY


def _print(event: ops.TopicEvent, position: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**MessageToDict(event), "position": position})
        return
    kind = ops.TopicEventKind.Name(event.kind).removeprefix(_PREFIX).lower().replace("_", "-")
    words = [f"{kind} {event.detail}".strip(), f"{event.item.worker_topic}/{event.item.item_id}"]
    if event.worker_id:
        words.append(f"by {event.worker_id}")
    if event.fence:
        words.append(f"fence {event.fence}")
    if event.reply_group:
        words.append(f"for {event.reply_group}")
    click.echo(safe(f"{time_of(event.event_time)}  {'  '.join(words)}"))
