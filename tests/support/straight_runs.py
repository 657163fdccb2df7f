"""Runs graphs to their end without waiting: operators and workers are functions, delays pass at once."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator import CompiledGraph, ExecutionResult
from bloge_orchestrator.execution.actions import Action, Enqueue, StartLocal, WaitUntil
from bloge_orchestrator.execution.events import OutcomeKind
from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.happenings import (
    Happening,
    OperatorFailed,
    OperatorReturned,
    OutcomeArrived,
    RetryDue,
)
from bloge_orchestrator.execution.result import result_of
from bloge_orchestrator.execution.work_items import ItemOutcome
from bloge_orchestrator.operators import LocalOperator
from support.executions import Simulation

Worker = Callable[[Any], Any]


def run_straight(graph: CompiledGraph, given: Any, workers: Mapping[str, Worker]) -> ExecutionResult:
    """Run a graph; `workers` are functions of a node's input, by the name of its operator."""
    execution = Simulation(graph, given)
    waiting = list(execution.first.actions)
    while waiting:
        happening = _outcome_of(execution, waiting.pop(0), workers)
        if happening is not None:
            waiting += execution.actions(happening)
    return result_of(execution.plan, execution.state)


def _outcome_of(execution: Simulation, action: Action, workers: Mapping[str, Worker]) -> Happening | None:
    match action:
        case StartLocal():
            return _answer(execution, action)
        case Enqueue():
            spec = pb.WorkItemSpec.FromString(action.work_item)
            output = workers[spec.operator_ref](json.loads(spec.payload)["input"])
            outcome = ItemOutcome(action.item_id, action.node_id, OutcomeKind.COMPLETED, json.dumps(output).encode())
            return OutcomeArrived(spec.worker_topic, outcome)
        case WaitUntil(node_id):
            return RetryDue(node_id)
        case _:
            return None


def _answer(execution: Simulation, action: StartLocal) -> Happening:
    operator = execution.plan.node(action.node_id).operator
    assert isinstance(operator, LocalOperator)
    try:
        output = operator.implementation(action.input)
    except ValueError as error:
        failure = Failure(NodeError(type(error).__name__, str(error)))
        return OperatorFailed(action.node_id, action.attempt, failure)
    return OperatorReturned(action.node_id, action.attempt, output)
