"""Whether a node may start: what a branch, a failure and a skipped dependency do to what comes after them."""

from dataclasses import dataclass

from bloge_orchestrator.compiled import CompiledScope
from bloge_orchestrator.execution import paths
from bloge_orchestrator.execution.events import SkipCause
from bloge_orchestrator.execution.state import ExecutionState, NodeState, NodeStatus


@dataclass(frozen=True, slots=True)
class Ready:
    """All that the node waits for has ended, and it is wanted."""


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The node is to be skipped."""

    cause: SkipCause
    reason: str


Readiness = Ready | Unwanted | None
"""None: it has to wait."""


def readiness(inside: CompiledScope, state: ExecutionState, scope: str, name: str) -> Readiness:
    """Judge a node that has not started.

    - What is lost above it, a failure or what was skipped for one, loses it too, and at once.
    - A target of branches runs if one of them chose it, and is skipped if all of them have ended and none did.
    - Any other node is skipped if all that it depends on was skipped; one dependency with an output is enough to run.

    Args:
        inside: The nodes of the scope.
        state: Where the execution stands.
        scope: The scope.
        name: The node's id.

    """
    dependencies = _states(state, scope, inside.nodes[name].spec.depends_on)
    branches = _states(state, scope, inside.chosen_by[name])
    for each, node in (*branches.items(), *dependencies.items()):
        if node.lost:
            return Unwanted(SkipCause.UPSTREAM_FAILED, _why_lost(each, node))
    chosen = any(node.status.has_output and name in node.output for node in branches.values())
    if branches and all(node.status.ended for node in branches.values()) and not chosen:
        return Unwanted(SkipCause.NOT_CHOSEN, f"not chosen by {' or '.join(branches)}")
    if not all(node.status.ended for node in (*branches.values(), *dependencies.values())):
        return None
    if dependencies and not chosen and not any(node.status.has_output for node in dependencies.values()):
        return Unwanted(SkipCause.NOT_CHOSEN, f"{' and '.join(dependencies)} skipped")
    return Ready()


def _states(state: ExecutionState, scope: str, names: tuple[str, ...]) -> dict[str, NodeState]:
    return {name: state.node(paths.path_of(scope, name)) for name in names}


def _why_lost(name: str, node: NodeState) -> str:
    """Name the node that failed, however far up it is."""
    return node.reason if node.status is NodeStatus.SKIPPED else f"{name} failed"
