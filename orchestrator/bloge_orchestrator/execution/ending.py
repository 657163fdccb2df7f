"""How the end of an execution is told to the control plane, as the end of its work item."""

from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.events import ExecutionStatus
from bloge_orchestrator.execution.plan import Plan
from bloge_orchestrator.execution.result import outputs_of
from bloge_orchestrator.execution.state import ExecutionState, NodeStatus
from bloge_orchestrator.execution.values import encoded
from bloge_worker import BusinessError, GraphCancelled

FAILURE_CODE = "EXECUTION_FAILED"
"""The code of the business error that an execution which failed ends with."""

_NODES_TOLD = 10


def ending_of(plan: Plan, state: ExecutionState, max_output_bytes: int) -> bytes | GraphCancelled:
    """Give what the owner of an execution that is finished returns to its worker.

    Args:
        plan: The graph.
        state: Where the execution stands.
        max_output_bytes: The largest output that may be told. Larger ones are left to the journal, which has them.

    Raises:
        BusinessError: If the execution failed; names the nodes that did.

    """
    if state.status is ExecutionStatus.FAILED:
        raise BusinessError(FAILURE_CODE, failure_message(state))
    output = encoded(outputs_of(plan, state))
    told = output if len(output) <= max_output_bytes else b""
    return GraphCancelled(told) if state.status is ExecutionStatus.CANCELLED else told


def failure_message(state: ExecutionState) -> str:
    """Say which of the graph's own nodes failed, and why."""
    failed = [
        f"{path}: {node.error}"
        for path, node in sorted(state.nodes.items())
        if node.status is NodeStatus.FAILED and paths.scope_of(path) == paths.GRAPH
    ]
    more = f"; and {len(failed) - _NODES_TOLD} more" if len(failed) > _NODES_TOLD else ""
    return "; ".join(failed[:_NODES_TOLD]) + more
