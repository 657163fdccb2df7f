"""Limits of a graph as a whole, with all that its sub-graphs bring along."""

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.graph import GraphSpec, NodeKind
from bloge_orchestrator.lowering.problems import PassOverError, Problems

LEVELS_MAX = 32
"""How deep nodes may stand in nodes, loops and sub-graphs counted together."""

PATH_LENGTH_MAX = 256
"""Longest path of a remote node, in characters: it names the node in a work item."""

_ITEM_LENGTH = len("#1001[99999]/")
"""What an attempt and an item add to a path at most."""


def check_level(level: int, place: Place | None, problems: Problems) -> None:
    """Check how deep something stands, before what is inside it is looked at.

    Raises:
        PassOverError: If it is too deep.

    """
    if level > LEVELS_MAX:
        message = f"nodes stand in nodes deeper than {LEVELS_MAX} levels"
        problems.error(Stage.LINT, "nesting-too-deep", message, place)
        raise PassOverError


def check_shape(graph: GraphSpec, place: Place | None, problems: Problems) -> None:
    """Check how deep the nodes of a graph stand, and how long the paths of remote ones are; reports one of each.

    Raises:
        PassOverError: If one is too deep.

    """
    waiting = [(node, 1, len(node.id)) for node in graph.nodes]
    longest = ""
    while waiting:
        node, level, length = waiting.pop()
        check_level(level, place, problems)
        if node.kind is NodeKind.REMOTE and length > PATH_LENGTH_MAX:
            longest = longest or node.id
        waiting += [(inner, level + 1, length + _ITEM_LENGTH + len(inner.id)) for inner in node.inside]
    if longest:
        message = (
            f"the path of remote node {longest[:40]} is too long: its ids are more than {PATH_LENGTH_MAX} characters"
        )
        problems.error(Stage.LINT, "path-too-long", message, place)
