"""`bloge start`."""

import asyncio

import click

from bloge_orchestrator.cli.graphs import Beginning, specified, start_options
from bloge_orchestrator.cli.options import Connection, connection_options, json_option
from bloge_orchestrator.cli.output import print_json
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.orchestrator import Orchestrator


@click.command()
@click.argument("file")
@start_options
@connection_options
@json_option
def start(file: str, beginning: Beginning, connection: Connection, *, as_json: bool) -> None:
    """Start an execution of the graph in FILE, or on standard input for `-`, and print its id.

    Whoever serves its topic runs it (`bloge orchestrate`), with the local operators that are registered there.
    """
    graph = specified(file)
    execution_id = asyncio.run(_start(graph, beginning, connection))
    if as_json:
        print_json({"executionId": execution_id})
    else:
        click.echo(execution_id)


async def _start(graph: GraphSpec, beginning: Beginning, connection: Connection) -> str:
    async with Orchestrator(connection.address, namespace=connection.namespace) as orchestrator:
        key, topic = beginning.business_key, beginning.worker_topic
        handle = await orchestrator.start(graph, beginning.input, business_key=key, worker_topic=topic)
        return handle.execution_id
