"""What an execution came to."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, takewhile

from bloge_orchestrator.compiled import CompiledScope
from bloge_orchestrator.durations import from_milliseconds, to_milliseconds
from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.events import ExecutionStatus
from bloge_orchestrator.execution.failure import NodeError
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus
from bloge_orchestrator.graph import NodeKind, NodeSpec
from bloge_orchestrator.operators import Json


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one node."""

    node_id: str
    """Its path: `infer`, `sub/infer`, or `loop[3]/infer` for the fourth item of a foreach."""
    operator_ref: str
    kind: NodeKind
    status: NodeStatus
    """COMPLETED, FELL_BACK, FAILED or SKIPPED."""
    output: Json
    """None unless it completed or fell back."""
    attempts: int
    """How many were made, at workers too; 0 for a transform and a skipped node."""
    workers: tuple[str, ...]
    """The workers whose reports were accepted."""
    worker_topic: str | None
    item_ids: tuple[str, ...]
    """Its work items, in order; more than one if a suspend deadline passed."""
    duration: timedelta | None
    """From its first attempt to its end; None if it never began."""
    error: NodeError | None
    """The last error; a node that completed in the end may have one."""
    reason: str
    """Why it was skipped."""

    def to_json(self) -> dict[str, Json]:
        """Give the result as a JSON object with camel-case keys."""
        return {
            "nodeId": self.node_id,
            "operatorRef": self.operator_ref,
            "kind": self.kind.value,
            "status": self.status.value,
            "output": self.output,
            "attempts": self.attempts,
            "workers": list(self.workers),
            "workerTopic": self.worker_topic,
            "itemIds": list(self.item_ids),
            "durationMs": None if self.duration is None else to_milliseconds(self.duration),
            "error": self.error.to_json() if self.error else None,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What became of an execution."""

    execution_id: str
    graph_name: str
    status: ExecutionStatus
    """COMPLETED, FAILED or CANCELLED."""
    outputs: Mapping[str, Json]
    """By id: the outputs of the nodes that nothing depends on, and of the transforms, as far as there are any."""
    nodes: Mapping[str, NodeResult]
    """By path, in the order of declaration, each followed by what has begun inside it."""
    duration: timedelta

    def to_json(self) -> dict[str, Json]:
        """Give the result as a JSON object with camel-case keys."""
        return {
            "executionId": self.execution_id,
            "graphName": self.graph_name,
            "status": self.status.value,
            "outputs": dict(self.outputs),
            "nodes": {node_id: node.to_json() for node_id, node in self.nodes.items()},
            "durationMs": to_milliseconds(self.duration),
        }


def result_of(plan: Plan, state: ExecutionState) -> ExecutionResult:
    """Give the result of an execution that is finished."""
    assert state.ended_ms is not None, "it is finished"
    return ExecutionResult(
        execution_id=state.execution_id,
        graph_name=plan.graph.spec.name,
        status=state.status,
        outputs=outputs_of(plan, state),
        nodes={path: node_result(spec, state, path) for path, spec in reached(plan, state)},
        duration=from_milliseconds(state.ended_ms - state.started_ms),
    )


def outputs_of(plan: Plan, state: ExecutionState) -> dict[str, Json]:
    """Give the outputs of the nodes that nothing depends on, and of the transforms, as far as there are any."""
    nodes = {node_id: state.node(node_id) for node_id in plan.result_nodes}
    return {node_id: node.output for node_id, node in nodes.items() if node.status.has_output}


def reached(plan: Plan, state: ExecutionState) -> Iterator[tuple[str, NodeSpec]]:
    """Give the graph's nodes by path, each followed by those inside it, of every item and attempt that has begun."""
    yield from _reached(plan.graph.scope, state, paths.GRAPH)


def _reached(inside: CompiledScope, state: ExecutionState, scope: str) -> Iterator[tuple[str, NodeSpec]]:
    for name, node in inside.nodes.items():
        path = paths.path_of(scope, name)
        yield path, node.spec
        if node.inside is not None:
            for begun in _begun_inside(state, path, node.spec.kind):
                yield from _reached(node.inside, state, begun)


def _begun_inside(state: ExecutionState, path: str, kind: NodeKind) -> Iterator[str]:
    for attempt in range(1, state.node(path).attempts + 1):
        indexes: Iterable[int | None] = count() if kind is NodeKind.FOREACH else (None,)
        scopes = (paths.inside_of(path, attempt, index) for index in indexes)
        yield from takewhile(state.scopes.__contains__, scopes)


def node_result(spec: NodeSpec, state: ExecutionState, path: str | None = None) -> NodeResult:
    """Give what became of a node, or where it stands; without a path, of a node of the graph itself."""
    node = state.node(path or spec.id)
    began = node.started_ms is not None and node.ended_ms is not None
    return NodeResult(
        node_id=path or spec.id,
        operator_ref=spec.operator_ref,
        kind=spec.kind,
        status=node.status,
        output=node.output,
        attempts=node.attempts,
        workers=node.workers,
        worker_topic=spec.worker_topic,
        item_ids=node.items,
        duration=from_milliseconds((node.ended_ms or 0) - (node.started_ms or 0)) if began else None,
        error=node.error,
        reason=node.reason,
    )
