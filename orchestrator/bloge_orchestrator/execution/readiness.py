"""Whether a node may start: what a branch, a failure and a skipped dependency do to what comes after them."""

from collections.abc import Mapping
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

    What becomes of it hangs on how the nodes before it end, never on the order in which they do:

    - A target of branches is lost with any of them, waits for all of them, and is skipped if none chose it.
    - What is lost above it, a failure or what was skipped for one, loses it too, and at once.
    - If all that it depends on was skipped, it is skipped too, unless a branch chose it; one dependency with an output
      is enough to run.

    Args:
        inside: The nodes of the scope.
        state: Where the execution stands.
        scope: The scope.
        name: The node's id.

    """
    branches = _states(state, scope, inside.chosen_by[name])
    chosen = any(node.status.has_output and name in node.output for node in branches.values())
    if (stopped := _first_lost(branches)) or not _all_ended(branches):
        return stopped
    if branches and not chosen:
        return Unwanted(SkipCause.NOT_CHOSEN, f"not chosen by {' or '.join(branches)}")
    dependencies = _states(state, scope, inside.nodes[name].spec.depends_on)
    if (stopped := _first_lost(dependencies)) or not _all_ended(dependencies):
        return stopped
    if dependencies and not chosen and not any(node.status.has_output for node in dependencies.values()):
        return Unwanted(SkipCause.NOT_CHOSEN, f"{' and '.join(dependencies)} skipped")
    return Ready()


def _all_ended(nodes: Mapping[str, NodeState]) -> bool:
    return all(node.status.ended for node in nodes.values())


def _first_lost(nodes: Mapping[str, NodeState]) -> Unwanted | None:
    """Name the node that failed, however far up it is."""
    for name, node in nodes.items():
        if node.lost:
            reason = node.reason if node.status is NodeStatus.SKIPPED else f"{name} failed"
            return Unwanted(SkipCause.UPSTREAM_FAILED, reason)
    return None


def _states(state: ExecutionState, scope: str, names: tuple[str, ...]) -> dict[str, NodeState]:
    return {name: state.node(paths.path_of(scope, name)) for name in names}
