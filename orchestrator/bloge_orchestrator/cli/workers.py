"""`bloge workers`."""

import click
from google.protobuf.json_format import MessageToDict

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.cli.connecting import with_control_plane
from bloge_orchestrator.cli.item_view import time_of
from bloge_orchestrator.cli.options import Connection, action_options, connection_options, json_option
from bloge_orchestrator.cli.output import print_json, print_rows
from bloge_orchestrator.control_plane import ControlPlane

_COLUMNS = ("WORKER", "TOPICS", "SLOTS", "HELD", "CREDITS", "STATE", "SDK", "LAST SEEN")


@click.group()
def workers() -> None:
    """See workers, and ask them to leave."""


@workers.command("list")
@click.option("--topic", default="", help="Only those that serve this worker topic.")
@connection_options
@json_option
def list_(topic: str, connection: Connection, *, as_json: bool) -> None:
    """List the workers that were seen lately."""

    async def work(control_plane: ControlPlane) -> list[ops.WorkerInfo]:
        return [worker async for worker in control_plane.operations.workers(connection.namespace, topic)]

    found = with_control_plane(connection, work)
    if as_json:
        print_json([MessageToDict(worker, always_print_fields_with_no_presence=True) for worker in found])
    elif found:
        print_rows(_COLUMNS, map(_row, found))
    else:
        click.echo("no workers were seen lately", err=True)


@workers.command()
@click.argument("worker_id")
@action_options
@connection_options
def drain(worker_id: str, action: ops.Action, connection: Connection) -> None:
    """Ask a worker to take nothing more, finish what it holds, and leave."""
    request = ops.DrainWorkerRequest(namespace=connection.namespace, worker_id=worker_id, action=action)
    with_control_plane(connection, lambda control_plane: control_plane.operations.drain_worker(request))
    click.echo(f"{worker_id} is asked to leave")


def _row(worker: ops.WorkerInfo) -> tuple[str, ...]:
    return (
        worker.worker_id,
        ",".join(worker.worker_topics),
        str(worker.slots),
        str(worker.held_leases),
        str(worker.credits),
        "leaving" if worker.draining else "working",
        worker.sdk,
        time_of(worker.last_seen_time),
    )
