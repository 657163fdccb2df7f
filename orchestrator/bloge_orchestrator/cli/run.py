"""`bloge run`."""

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import click

from bloge_orchestrator.cli.options import (
    Connection,
    connection_options,
    json_option,
    operators_option,
    read_json,
    read_text,
)
from bloge_orchestrator.cli.output import on_terminal, print_json
from bloge_orchestrator.cli.problems import FAILED, INTERRUPTED, BadUsage
from bloge_orchestrator.cli.run_view import LineView, TableView, print_result
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.compiler import compile_source
from bloge_orchestrator.diagnostics import GraphInvalid
from bloge_orchestrator.execution.events import Event, ExecutionStatus, GraphStarted
from bloge_orchestrator.execution.result import ExecutionResult
from bloge_orchestrator.execution.runner import OnEvent
from bloge_orchestrator.graph_files import FilesOnDisk
from bloge_orchestrator.operators import Json, OperatorRegistry
from bloge_orchestrator.orchestrator import Orchestrator

_EXIT_CODES = {
    ExecutionStatus.COMPLETED: 0,
    ExecutionStatus.FAILED: FAILED,
    ExecutionStatus.CANCELLED: INTERRUPTED,
}


@click.command()
@click.argument("file")
@click.option("--input", "given", default="{}", metavar="JSON|@FILE", help="The execution's input, an object.")
@operators_option
@connection_options
@json_option
def run(file: str, given: str, operators: OperatorRegistry | None, connection: Connection, *, as_json: bool) -> None:
    """Run the graph in FILE, or on standard input for `-`, in this process.

    Ends with 0 if the execution completed, with 1 if it failed, with 130 if it was interrupted.
    """
    graph = _compiled(file, operators)
    execution_input = read_json("--input", given)
    if not isinstance(execution_input, dict):
        raise click.UsageError("--input must be a JSON object of fields, as in '{\"id\": 7}'")
    click.echo("note: the execution lives in this process and ends with it", err=True)
    try:
        result = asyncio.run(_execute(graph, execution_input, connection, as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(INTERRUPTED) from None
    if as_json:
        print_json(result.to_json())
    else:
        print_result(result)
    raise SystemExit(_EXIT_CODES[result.status])


def _compiled(file: str, operators: OperatorRegistry | None) -> CompiledGraph:
    try:
        registry = operators or OperatorRegistry()
        graph = compile_source(read_text(file), filename=file, registry=registry, files=FilesOnDisk())
    except GraphInvalid as error:
        unknown = any(each.code == "unknown-operator" for each in error.diagnostics)
        hint = "\npass the local operators with --operators MODULE:REGISTRY" if unknown and operators is None else ""
        raise BadUsage(f"the graph is invalid\n{error}{hint}") from error
    return graph


async def _execute(
    graph: CompiledGraph, execution_input: Mapping[str, Json], connection: Connection, *, as_json: bool
) -> ExecutionResult:
    async with Orchestrator(connection.address, namespace=connection.namespace) as orchestrator:
        view = nullcontext() if as_json else TableView(graph) if on_terminal() else LineView()
        with view as show, _Interruption(orchestrator).watched(show) as on_event:
            return await orchestrator.run(graph, execution_input, on_event=on_event)


class _Interruption:
    """Cancels the execution on the first SIGINT or SIGTERM, so that no worker works in vain; the next one is final."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator
        self._loop = asyncio.get_running_loop()
        self._execution_id = ""
        self._main = asyncio.current_task()
        self._cancelling: asyncio.Task[bool] | None = None

    @contextmanager
    def watched(self, show: OnEvent | None) -> Iterator[OnEvent]:
        def on_event(event: Event) -> None:
            if isinstance(event, GraphStarted):
                self._execution_id = event.execution_id
            if show is not None:
                show(event)

        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._interrupt, number)
        try:
            yield on_event
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.remove_signal_handler(number)

    def _interrupt(self, number: int) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(each)
        if not self._execution_id and self._main is not None:
            self._main.cancel()
            return
        name = signal.Signals(number).name
        self._cancelling = self._loop.create_task(self._orchestrator.cancel(self._execution_id, f"{name} received"))
