"""Executions whose actions are carried out by the test."""

import json
from collections.abc import Mapping
from typing import Any

from bloge_orchestrator import CompiledGraph, NodeStatus, OperatorRegistry, compile_source
from bloge_orchestrator.execution.actions import Action
from bloge_orchestrator.execution.decide import Decision, decide
from bloge_orchestrator.execution.events import Event, OutcomeKind
from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.happenings import Begun, Happening, OperatorFailed, OperatorReturned, OutcomeArrived
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.state import ExecutionState
from bloge_orchestrator.execution.work_items import ItemOutcome, item_id_of
from bloge_orchestrator.operators import Json
from support.graph_files import FilesInMemory

START_MS = 1_800_000_000_000


def registry() -> OperatorRegistry:
    """Return a registry whose operator `Op` gives its input back."""
    operators = OperatorRegistry()
    operators.register("Op", lambda node_input: node_input)
    return operators


def compiled(members: str, **files: str) -> CompiledGraph:
    """Compile a graph of these members; `files` are graphs beside it, by name."""
    beside = FilesInMemory({f"{name}.bloge": text for name, text in files.items()})
    return compile_source(f"graph g {{\n{members}\n}}", filename="g.bloge", registry=registry(), files=beside)


def remote(node_id: str, settings: str = "") -> str:
    """Write a remote node of topic `t` with a timeout of one minute."""
    return f'node {node_id} : Far {{ execution_mode = remote worker_topic = "t" timeout = 1m {settings} }}'


class Simulation:
    """One execution: takes happenings, and keeps the events and the actions they led to."""

    def __init__(
        self, graph: CompiledGraph, execution_input: Json = None, secrets: Mapping[str, str] | None = None
    ) -> None:
        self.plan = Plan(graph, secrets or {})
        self.state = ExecutionState()
        self.events: list[Event] = []
        self.now_ms = START_MS
        self.first = self.take(Begun("e-1", "default", "b-1", {} if execution_input is None else execution_input))

    def take(self, happening: Happening) -> Decision:
        """Let something happen, one millisecond after the last."""
        self.now_ms += 1
        decision = decide(self.plan, self.state, happening, self.now_ms)
        self.state = decision.state
        self.events += decision.events
        return decision

    def actions(self, happening: Happening) -> tuple[Action, ...]:
        """Let something happen; return what is to be done about it."""
        return self.take(happening).actions

    def returns(self, node_id: str, output: Json = None, attempt: int = 1) -> Decision:
        """Let the operator of a local node return."""
        return self.take(OperatorReturned(node_id, attempt, output))

    def fails(self, node_id: str, error_type: str = "ValueError", attempt: int = 1, **how: Any) -> Decision:
        """Let the operator of a local node fail."""
        return self.take(OperatorFailed(node_id, attempt, Failure(NodeError(error_type, "no"), **how)))

    def outcome(self, node_id: str, kind: OutcomeKind, number: int = 1, **members: Any) -> Decision:
        """Let an outcome of one of a node's items arrive."""
        item_id = item_id_of("e-1", node_id, number)
        return self.take(OutcomeArrived("t", ItemOutcome(item_id, node_id, kind, **members)))

    def completes(self, node_id: str, output: Json = None, number: int = 1) -> Decision:
        """Let a worker complete one of a node's items."""
        return self.outcome(node_id, OutcomeKind.COMPLETED, number, output=json.dumps(output).encode())

    def business_error(self, node_id: str, code: str = "NO") -> Decision:
        """Let a worker fail a node's item with a business error."""
        return self.outcome(node_id, OutcomeKind.FAILED, error=NodeError(code, "no", business=True))

    def types(self, node_id: str | None = None) -> list[str]:
        """Return the types of the events, of all or of one node, without their prefix."""
        chosen = [event for event in self.events if node_id is None or getattr(event, "node_id", None) == node_id]
        return [event.TYPE.removeprefix("NODE_") for event in chosen]

    def statuses(self) -> dict[str, NodeStatus]:
        """Return where each node stands."""
        return {node_id: self.state.node(node_id).status for node_id in self.plan.nodes}
