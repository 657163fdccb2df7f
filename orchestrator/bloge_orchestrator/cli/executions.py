"""`bloge executions`: what has been started, and what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from bloge_orchestrator.cli.execution_view import info_rows, print_execution
from bloge_orchestrator.cli.options import Connection, connection_options, json_option
from bloge_orchestrator.cli.output import print_json, print_rows
from bloge_orchestrator.cli.run import EXIT_CODES
from bloge_orchestrator.cli.run_view import LineView
from bloge_orchestrator.execution.events import ExecutionStatus
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.handle import ExecutionInfo
from bloge_orchestrator.orchestrator import Orchestrator

_COLUMNS = ("EXECUTION", "GRAPH", "STATUS", "STARTED", "DURATION", "KEY", "DETAIL")
_T = TypeVar("_T")


@click.group()
def executions() -> None:
    """List, inspect and cancel executions."""


@executions.command("list")
@click.option("--status", type=click.Choice([each.value for each in ExecutionStatus], case_sensitive=False))
@click.option("--graph", "graph_name", default="", help="Only those of this graph.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many.")
@connection_options
@json_option
def list_executions(status: str | None, graph_name: str, limit: int, connection: Connection, *, as_json: bool) -> None:
    """List executions, latest first."""
    wanted = None if status is None else ExecutionStatus(status)

    async def work(orchestrator: Orchestrator) -> list[ExecutionInfo]:
        found: list[ExecutionInfo] = []
        async for info in orchestrator.executions(status=wanted, graph_name=graph_name):
            found.append(info)
            if len(found) == limit:
                break
        return found

    found = _with_orchestrator(connection, work)
    if as_json:
        print_json([info.to_json() for info in found])
    else:
        print_rows(_COLUMNS, info_rows(found))


@executions.command()
@click.argument("execution_id")
@connection_options
@json_option
def show(execution_id: str, connection: Connection, *, as_json: bool) -> None:
    """Show where an execution and its nodes stand."""

    async def work(orchestrator: Orchestrator) -> None:
        handle = orchestrator.execution(execution_id)
        info, graph, state = await handle.status(), await handle.graph(), await handle.state()
        if not as_json:
            print_execution(info, graph, state)
            return
        result = result_of(Plan(graph), state).to_json() if state.finished else None
        print_json({**info.to_json(), "result": result})

    _with_orchestrator(connection, work)


@executions.command()
@click.argument("execution_id")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--wait", is_flag=True, help="Return once it has ended.")
@connection_options
def cancel(execution_id: str, reason: str, connection: Connection, *, wait: bool) -> None:
    """Cancel an execution: its owner withdraws its open work items, and nothing more begins."""

    async def work(orchestrator: Orchestrator) -> ExecutionStatus | None:
        handle = orchestrator.execution(execution_id)
        await handle.cancel(reason)
        return (await handle.result()).status if wait else None

    ended = _with_orchestrator(connection, work)
    click.echo(f"{execution_id}: {ended.value if ended else 'its owner is told to cancel it'}")


@executions.command()
@click.argument("execution_id")
@click.option("--follow", is_flag=True, help="Wait for further events until it ends.")
@connection_options
@json_option
def journal(execution_id: str, connection: Connection, *, follow: bool, as_json: bool) -> None:
    """Print what happened in an execution, event by event.

    With --follow, ends as `bloge run` does.
    """

    async def work(orchestrator: Orchestrator) -> ExecutionStatus | None:
        handle = orchestrator.execution(execution_id)
        view = LineView()
        async for event in handle.events(follow=follow):
            if as_json:
                print_json(event.to_json())
            else:
                view(event)
        return (await handle.status()).status if follow else None

    status = _with_orchestrator(connection, work)
    raise SystemExit(EXIT_CODES.get(status, 0) if status else 0)


def _with_orchestrator(connection: Connection, work: Callable[[Orchestrator], Awaitable[_T]]) -> _T:
    async def open_and_work() -> _T:
        async with Orchestrator(connection.address, namespace=connection.namespace) as orchestrator:
            return await work(orchestrator)

    return asyncio.run(open_and_work())
