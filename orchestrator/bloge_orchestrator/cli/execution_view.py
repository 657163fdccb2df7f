"""How executions are shown that are not watched."""

from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from bloge_orchestrator.cli.output import print_rows, safe
from bloge_orchestrator.cli.run_view import COLUMNS, node_rows
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.handle import ExecutionInfo


def info_rows(found: Iterable[ExecutionInfo]) -> Iterator[tuple[str, ...]]:
    """Give a row for each execution of a list."""
    for info in found:
        duration = f"{(info.ended_at - info.started_at).total_seconds():.3f}s" if info.ended_at else ""
        started = _instant(info.started_at)
        yield info.execution_id, info.graph_name, info.status.value, started, duration, info.business_key, _detail(info)


def print_execution(info: ExecutionInfo, graph: CompiledGraph, state: ExecutionState) -> None:
    """Print where an execution and its nodes stand."""
    facts = {
        "execution": info.execution_id,
        "graph": f"{info.graph_name} ({info.graph_hash[:12]})",
        "key": info.business_key,
        "topic": info.worker_topic,
        "status": info.status.value,
        "detail": _detail(info),
        "owner": info.owner,
        "started": _instant(info.started_at),
        "ended": _instant(info.ended_at) if info.ended_at else "",
        "events": str(info.next_sequence - 1),
    }
    for name, value in facts.items():
        if value:
            click.echo(f"{name + ':':<11}{safe(value)}")
    print_rows(COLUMNS, node_rows(graph.spec.nodes, state))


def _detail(info: ExecutionInfo) -> str:
    if info.dead_letter_reason:
        return f"a dead letter ({info.dead_letter_reason}): replay or cancel it"
    if info.cancel_requested and not info.status.ended:
        return "being cancelled"
    return info.failure_message


def _instant(at: datetime) -> str:
    return at.astimezone().isoformat(sep=" ", timespec="seconds")
