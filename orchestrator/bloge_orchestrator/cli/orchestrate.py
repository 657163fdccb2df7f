"""`bloge orchestrate`."""

import asyncio
import logging
import signal
from datetime import timedelta

import click

from bloge_orchestrator.cli.options import Connection, connection_options, lease_option, operators_option
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.orchestrator import Orchestrator
from bloge_orchestrator.serving import DEFAULT_CONCURRENCY, DEFAULT_TOPIC, Serving


@click.command()
@click.option(
    "--topic",
    "worker_topics",
    multiple=True,
    default=(DEFAULT_TOPIC,),
    show_default=True,
    help="A topic to serve; may be repeated.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 10_000),
    default=DEFAULT_CONCURRENCY,
    show_default=True,
    help="The most executions at once. They mostly wait; what is beyond it does not begin.",
)
@lease_option
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    help="How long local operators that run have to come to their end when this is stopped.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="The least severe messages that are logged, to standard error.",
)
@operators_option
@connection_options
def orchestrate(
    worker_topics: tuple[str, ...],
    concurrency: int,
    lease: timedelta | None,
    drain_seconds: float,
    log_level: str,
    operators: OperatorRegistry | None,
    connection: Connection,
) -> None:
    """Run executions that were started, until SIGTERM or SIGINT; any number of these may share a topic.

    What is not at its end then goes on elsewhere, or when one of these is started again. Executions whose graphs name
    local operators that are not registered here are left to others.
    """
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    orchestrator = Orchestrator(connection.address, namespace=connection.namespace, registry=operators)
    grace = timedelta(seconds=drain_seconds)
    asyncio.run(_serve(orchestrator, worker_topics, concurrency, lease, grace))


async def _serve(
    orchestrator: Orchestrator,
    worker_topics: tuple[str, ...],
    concurrency: int,
    lease: timedelta | None,
    drain_grace: timedelta,
) -> None:
    async with orchestrator:
        serving = orchestrator.serving(*worker_topics, concurrency=concurrency, lease=lease, drain_grace=drain_grace)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with serving:
            await serving.connected()
            _announce(serving, worker_topics)
            await stop.wait()


def _announce(serving: Serving, worker_topics: tuple[str, ...]) -> None:
    click.echo(f"{serving.owner_id} serves {', '.join(worker_topics)}", err=True)
