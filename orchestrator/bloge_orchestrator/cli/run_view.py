"""How an execution is watched: a live table on a terminal, lines elsewhere."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from bloge_orchestrator.cli.output import cell, counted, new_table, safe
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.durations import to_milliseconds
from bloge_orchestrator.execution.events import (
    Event,
    GraphCancelled,
    GraphCompleted,
    GraphStarted,
    NodeCompleted,
    NodeEvent,
    NodeExpanded,
    NodeFailed,
    NodeFellBack,
    NodeResumed,
    NodeRetried,
    NodeSkipped,
    NodeStarted,
    NodeSuspended,
)
from bloge_orchestrator.execution.result import ExecutionResult, node_result
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus, apply
from bloge_orchestrator.graph import NodeSpec

_STYLES = {
    NodeStatus.PENDING: "dim",
    NodeStatus.RUNNING: "cyan",
    NodeStatus.SUSPENDED: "blue",
    NodeStatus.RETRY_WAIT: "yellow",
    NodeStatus.COMPLETED: "green",
    NodeStatus.FELL_BACK: "yellow",
    NodeStatus.FAILED: "bold red",
    NodeStatus.SKIPPED: "dim",
}
COLUMNS = ("NODE", "OPERATOR", "STATUS", "ATTEMPTS", "TIME", "WORKER", "DETAIL")
_REFRESHES_PER_SECOND = 8


class LineView:
    """Prints a line for each event."""

    def __init__(self) -> None:
        self._started_ms = 0
        self._heard = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def __call__(self, event: Event) -> None:
        """Print an event."""
        if isinstance(event, GraphStarted):
            self._started_ms = event.at_ms
        node = f"{event.node_id} " if isinstance(event, NodeEvent) else ""
        if self._heard:
            self._print(f"{(event.at_ms - self._started_ms) / 1000:8.3f}s  {node}{describe(event)}")

    def _print(self, line: str) -> None:
        try:
            click.echo(safe(line))
        except BrokenPipeError:  # nobody reads on; the execution goes on all the same
            self._heard = False


class TableView:
    """Shows the nodes in a table that follows the execution."""

    def __init__(self, graph: CompiledGraph) -> None:
        self._nodes = graph.spec.nodes
        # Replaced as a whole by each event, so the thread that refreshes the table always sees one state.
        self._state = ExecutionState()
        self._live = Live(console=Console(), refresh_per_second=_REFRESHES_PER_SECOND, get_renderable=self._table)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last table standing."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        self._state = apply(self._state, event)

    def _table(self) -> Table:
        table, state = new_table(COLUMNS), self._state
        for name, operator, status, *rest in node_rows(self._nodes, state):
            table.add_row(name, operator, cell(status, _STYLES[NodeStatus(status)]), *map(cell, rest))
        return table


def node_rows(nodes: Iterable[NodeSpec], state: ExecutionState) -> Iterator[tuple[str, ...]]:
    """Give a row for each of a graph's own nodes, in the order of `COLUMNS`."""
    return (_row(spec, state) for spec in nodes)


def _row(spec: NodeSpec, state: ExecutionState) -> tuple[str, ...]:
    result = node_result(spec, state)
    detail = result.reason or (str(result.error) if result.error else "") or _progress(spec, state)
    return (
        spec.id,
        spec.operator_ref,
        result.status.value,
        str(result.attempts or ""),
        "" if result.duration is None else f"{to_milliseconds(result.duration) / 1000:.3f}s",
        " ".join(result.workers),
        detail,
    )


def _progress(spec: NodeSpec, state: ExecutionState) -> str:
    """Say what a node that has not ended waits for."""
    node = state.node(spec.id)
    if node.status is NodeStatus.SUSPENDED:
        return f"waits for a worker of {spec.worker_topic}"
    if node.status is NodeStatus.RUNNING and node.expansion is not None and node.expansion.count is not None:
        return f"{state.items(spec.id).ended} of {counted(node.expansion.count, 'item')} done"
    return ""


def describe(event: Event) -> str:
    """Say in a few words what happened."""
    return _PHRASES[type(event)](event)


def _suspended(event: NodeSuspended) -> str:
    return f"suspended: work item {event.item_id} on topic {event.worker_topic}"


def _expanded(event: NodeExpanded) -> str:
    return "its inside begins" if event.count is None else f"goes over {counted(event.count, 'item')}"


def _resumed(event: NodeResumed) -> str:
    by = f" by {event.worker_id}" if event.worker_id else ""
    reason = f", dead letter {event.dead_letter_reason}" if event.dead_letter_reason else ""
    return f"resumed: {event.outcome.value}{by}, retries {event.retry_count}{reason}"


def _retried(event: NodeRetried) -> str:
    return f"failed: {event.error}; retry {event.retries_spent} in {(event.due_ms - event.at_ms) / 1000:.3f}s"


_PHRASES: Mapping[type[Event], Callable[[Any], str]] = {
    GraphStarted: lambda event: f"graph {event.graph_name} started as execution {event.execution_id}",
    GraphCancelled: lambda event: f"cancelled: {event.reason}",
    GraphCompleted: lambda event: f"execution {event.status.value}",
    NodeStarted: lambda event: f"started, attempt {event.attempt}",
    NodeExpanded: _expanded,
    NodeSuspended: _suspended,
    NodeResumed: _resumed,
    NodeRetried: _retried,
    NodeCompleted: lambda _: "completed",
    NodeFellBack: lambda event: f"fell back: {event.error}",
    NodeFailed: lambda event: f"failed: {event.error}",
    NodeSkipped: lambda event: f"skipped: {event.reason}",
}


def print_result(result: ExecutionResult) -> None:
    """Print how the execution ended, and what it gave."""
    for node in result.nodes.values():
        if node.status is NodeStatus.FAILED and node.error is not None and node.error.traceback:
            click.echo(f"{node.node_id}:\n{safe(node.error.traceback)}", err=True)
    click.echo(f"outputs: {safe(json.dumps(result.outputs, ensure_ascii=False, indent=2))}")
    click.echo(f"{result.status.value} in {to_milliseconds(result.duration) / 1000:.3f}s")
