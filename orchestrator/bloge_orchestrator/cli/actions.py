"""`bloge actions`."""

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.cli.connecting import with_control_plane
from bloge_orchestrator.cli.item_view import time_of
from bloge_orchestrator.cli.options import Connection, connection_options, json_option
from bloge_orchestrator.cli.output import print_json, print_rows
from bloge_orchestrator.control_plane import ControlPlane

_COLUMNS = ("TIME", "WHAT", "TO WHAT", "WHO", "WHY", "REQUEST")


@click.command()
@click.option("--max", "limit", type=click.IntRange(min=1), default=50, show_default=True, help="The most actions.")
@connection_options
@json_option
def actions(limit: int, connection: Connection, *, as_json: bool) -> None:
    """List what people did, latest first: replays, discards, pauses, drains, repairs, with who and why."""

    async def work(control_plane: ControlPlane) -> list[ops.RecordedAction]:
        found: list[ops.RecordedAction] = []
        async for action in control_plane.operations.actions(connection.namespace):
            if len(found) == limit:
                break
            found.append(action)
        return found

    found = with_control_plane(connection, work)
    if as_json:
        print_json([MessageToDict(action) for action in found])
    elif found:
        print_rows(_COLUMNS, map(_row, found))
    else:
        click.echo("nobody did anything yet", err=True)


def _row(recorded: ops.RecordedAction) -> tuple[str, ...]:
    who = recorded.action
    return (time_of(recorded.action_time), recorded.verb, recorded.target, who.actor, who.reason, recorded.detail)
