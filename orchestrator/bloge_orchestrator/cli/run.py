"""`bloge run`."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import click

from bloge_orchestrator.cli.graphs import Beginning, compiled, start_options
from bloge_orchestrator.cli.options import Connection, connection_options, json_option, lease_option, operators_option
from bloge_orchestrator.cli.output import on_terminal, print_json
from bloge_orchestrator.cli.problems import FAILED, INTERRUPTED
from bloge_orchestrator.cli.run_view import LineView, TableView, print_result
from bloge_orchestrator.execution.events import ExecutionStatus
from bloge_orchestrator.execution.result import ExecutionResult
from bloge_orchestrator.execution.runner import OnEvent
from bloge_orchestrator.handle import ExecutionHandle
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.orchestrator import Orchestrator

EXIT_CODES = {
    ExecutionStatus.COMPLETED: 0,
    ExecutionStatus.FAILED: FAILED,
    ExecutionStatus.CANCELLED: INTERRUPTED,
}
_HINT = "\npass the local operators with --operators MODULE:REGISTRY"


@click.command()
@click.argument("file")
@start_options
@lease_option
@operators_option
@connection_options
@json_option
def run(
    file: str,
    beginning: Beginning,
    lease: timedelta | None,
    operators: OperatorRegistry | None,
    connection: Connection,
    *,
    as_json: bool,
) -> None:
    """Run the graph in FILE, or on standard input for `-`: start an execution, own it, and show it until its end.

    It survives this process: run it again with the same --key, or have `bloge orchestrate` go on with it. The first
    interruption cancels it; a second one leaves it as it is.

    Ends with 0 if the execution completed, with 1 if it failed, with 130 if it was interrupted.
    """
    registry = operators or OperatorRegistry()
    graph = compiled(file, registry, hint=_HINT if operators is None else "")
    orchestrator = Orchestrator(connection.address, namespace=connection.namespace, registry=registry)
    key, topic = beginning.business_key, beginning.worker_topic
    running = orchestrator.running(graph, beginning.input, business_key=key, worker_topic=topic, lease=lease)
    view = nullcontext() if as_json else TableView(graph) if on_terminal() else LineView()
    try:
        result = asyncio.run(_execute(orchestrator, running, view))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(INTERRUPTED) from None
    if as_json:
        print_json(result.to_json())
    else:
        print_result(result)
    raise SystemExit(EXIT_CODES[result.status])


async def _execute(
    orchestrator: Orchestrator,
    running: AbstractAsyncContextManager[ExecutionHandle],
    view: AbstractContextManager[OnEvent | None],
) -> ExecutionResult:
    async with orchestrator, running as handle:
        with _cancelled_on_interruption(handle), view as show:
            return await handle.result(on_event=show)


@contextmanager
def _cancelled_on_interruption(handle: ExecutionHandle) -> Iterator[None]:
    """Cancel the execution on the first SIGINT or SIGTERM, so that no worker works in vain; the next one is final."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
    asked: list[asyncio.Task[None]] = []

    def interrupt(name: str) -> None:
        for number in signals:
            loop.remove_signal_handler(number)
        click.echo(f"{name}: cancelling execution {handle.execution_id}; again to leave it as it is", err=True)
        asked.append(loop.create_task(handle.cancel(f"{name} received")))

    for number in signals:
        loop.add_signal_handler(number, interrupt, number.name)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
