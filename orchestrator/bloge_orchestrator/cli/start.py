"""`bloge start`."""

import asyncio
from collections.abc import Mapping

import click

from bloge_orchestrator.cli.graphs import specified, start_options
from bloge_orchestrator.cli.options import Connection, connection_options, json_option
from bloge_orchestrator.cli.output import print_json
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.operators import Json
from bloge_orchestrator.orchestrator import Orchestrator


@click.command()
@click.argument("file")
@start_options
@connection_options
@json_option
def start(
    file: str, given: Mapping[str, Json], business_key: str, worker_topic: str, connection: Connection, *, as_json: bool
) -> None:
    """Start an execution of the graph in FILE, or on standard input for `-`, and print its id.

    Whoever serves its topic runs it (`bloge orchestrate`), with the local operators that are registered there.
    """
    graph = specified(file)
    execution_id = asyncio.run(_start(graph, given, business_key, worker_topic, connection))
    if as_json:
        print_json({"executionId": execution_id})
    else:
        click.echo(execution_id)


async def _start(
    graph: GraphSpec, given: Mapping[str, Json], business_key: str, worker_topic: str, connection: Connection
) -> str:
    async with Orchestrator(connection.address, namespace=connection.namespace) as orchestrator:
        handle = await orchestrator.start(graph, given, business_key=business_key, worker_topic=worker_topic)
        return handle.execution_id
