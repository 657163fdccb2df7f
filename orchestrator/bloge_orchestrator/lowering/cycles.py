"""Finds nodes that wait for each other."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.graph import BranchSpec, NodeSpec
from bloge_orchestrator.lowering.problems import Problems


def check_cycles(nodes: Sequence[NodeSpec], places: Mapping[str, Place | None], problems: Problems) -> None:
    """Report one circle after the other; each time without the nodes of those already reported."""
    predecessors = _predecessors(nodes)
    order = list(predecessors)
    while circle := _circle(predecessors):
        start = min(circle, key=order.index)
        turned = circle[circle.index(start) :] + circle[: circle.index(start)]
        message = f"nodes wait for each other in a circle: {' -> '.join([*turned, start])}"
        problems.error(Stage.LINT, "cycle", message, places[start], start)
        for name in circle:
            del predecessors[name]


def _predecessors(nodes: Sequence[NodeSpec]) -> dict[str, list[str]]:
    """Give what each node waits for: its dependencies, and the branches that may choose it."""
    known = {node.id for node in nodes}
    predecessors = {node.id: [name for name in node.depends_on if name in known] for node in nodes}
    for node in nodes:
        if isinstance(node.construct, BranchSpec):
            for target in node.construct.targets:
                predecessors.get(target, []).append(node.id)
    return predecessors


def _circle(predecessors: Mapping[str, list[str]]) -> list[str]:
    """Find the ids of a circle in the order in which their nodes would run, or nothing."""
    sorter = TopologicalSorter(
        {name: [other for other in others if other in predecessors] for name, others in predecessors.items()}
    )
    try:
        sorter.prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[:-1]
    return []
