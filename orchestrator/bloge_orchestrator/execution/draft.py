"""One decision in the making: what is recorded so far, what it makes of the state, and what is to be done."""

from typing import Any

from bloge_orchestrator.durations import to_milliseconds
from bloge_orchestrator.execution.actions import Action, Enqueue, StartLocal, WaitUntil, WatchDeadline
from bloge_orchestrator.execution.events import Event, NodeCompleted, NodeEvent, NodeFailed, NodeFellBack, NodeRetried
from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.inputs import node_input
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.state import ExecutionState, NodeState, NodeStatus, apply
from bloge_orchestrator.execution.values import MAX_OUTPUT_BYTES, encoded
from bloge_orchestrator.expressions.evaluator import ExpressionError
from bloge_orchestrator.graph import NodeKind
from bloge_orchestrator.operators import Json
from bloge_orchestrator.resilience import FallBack, GiveUp, Retry, react


class Draft:
    """Folds each event as it is drafted, so that one can follow from another.

    Args:
        plan: The graph.
        state: Where the execution stands before.
        at_ms: When it is decided, in milliseconds since 1970.
    """

    def __init__(self, plan: Plan, state: ExecutionState, at_ms: int) -> None:
        self.plan = plan
        self.state = state
        self.at_ms = at_ms
        self.events: list[Event] = []
        self.actions: list[Action] = []
        self._inputs: dict[str, dict[str, Json]] = {}
        self._touched: dict[str, None] = {}

    def node(self, path: str) -> NodeState:
        """Give where a node stands, as drafted."""
        return self.state.node(path)

    def record(self, event_type: type[Event], **members: Any) -> None:  # noqa: ANN401 - each type has its own members
        """Draft an event."""
        event = event_type(sequence=self.state.sequence + 1, at_ms=self.at_ms, **members)
        self.events.append(event)
        self.state = apply(self.state, event)
        if isinstance(event, NodeEvent):
            self.touch(event.node_id)

    def touch(self, path: str) -> None:
        """See to it that what the state of a node wants done is among the actions."""
        self._touched[path] = None

    def evaluate(self, path: str) -> dict[str, Json] | None:
        """Evaluate a node's input; without one the node fails."""
        try:
            self._inputs[path] = node_input(self.plan, self.state, path, self.at_ms)
        except ExpressionError as error:
            self.fail_for_good(path, "ExpressionError", error)
            return None
        return self._inputs[path]

    def complete(self, path: str, output: Json) -> None:
        """Draft the end of a node with its output, which must fit an event."""
        size = len(encoded(output))
        if size > MAX_OUTPUT_BYTES:
            hint = "keep large data elsewhere and give a reference"
            told = f"the output has {size} bytes as JSON, {MAX_OUTPUT_BYTES} fit; {hint}"
            self.fail_for_good(path, "OutputTooLarge", ValueError(told))
            return
        self.record(NodeCompleted, node_id=path, output=output)

    def fail_for_good(self, path: str, error_type: str, error: Exception) -> None:
        """Draft what follows if a node cannot be what it is declared to be: another attempt would end like this one."""
        self.fail(path, Failure(NodeError(error_type, str(error)), retryable=False))

    def fail(self, path: str, failure: Failure) -> None:
        """Draft what follows a failed attempt: retry, fallback or failure."""
        spent, error = self.node(path).retries_spent, failure.error
        seed = f"{self.state.execution_id}/{path}/{spent + failure.cost}"
        match react(self.plan.node(path).spec, failure, spent, seed):
            case Retry(retries_spent, delay_ms):
                due_ms = self.at_ms + delay_ms
                self.record(NodeRetried, node_id=path, retries_spent=retries_spent, due_ms=due_ms, error=error)
            case FallBack(value):
                self.record(NodeFellBack, node_id=path, output=value, error=error)
            case GiveUp():
                self.record(NodeFailed, node_id=path, error=error)

    def all_actions(self) -> tuple[Action, ...]:
        """Give the actions, with those that the states of touched nodes want."""
        wanted = (action for path in self._touched if (action := self._wanted(path)) is not None)
        return (*self.actions, *wanted)

    def _wanted(self, path: str) -> Action | None:
        node = self.node(path)
        match node.status:
            case NodeStatus.RUNNING:
                return self._running(path, node)
            case NodeStatus.SUSPENDED:
                return Enqueue(path, node.items[-1], node.work_item)
            case NodeStatus.RETRY_WAIT:
                return WaitUntil(path, node.due_ms)
            case _:
                return None

    def _running(self, path: str, node: NodeState) -> StartLocal | WatchDeadline | None:
        spec = self.plan.node(path).spec
        if spec.kind is NodeKind.LOCAL:
            return StartLocal(path, node.attempts, self._inputs[path])
        if spec.kind is NodeKind.SUBGRAPH and spec.timeout is not None:
            return WatchDeadline(path, node.attempts, (node.attempt_ms or 0) + to_milliseconds(spec.timeout))
        return None
