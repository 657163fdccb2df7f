"""How a node is named in an execution: its id, behind the ids of what it stands in.

`sub/infer` is node `infer` of sub-graph `sub`, `loop[3]/infer` the one of item 3 of foreach `loop`, counted from 0. The
inside of a second attempt is another one: `sub#2/infer`. What stands before the last `/` is the scope of the node; the
scope of the graph's own nodes is empty.
"""

from dataclasses import dataclass

GRAPH = ""
"""The scope of the graph's own nodes."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Whose inside a scope is: a node's path, its attempt, and the item of a foreach."""

    node_id: str
    attempt: int
    index: int | None


def path_of(scope: str, name: str) -> str:
    """Give the path of a node of a scope."""
    return f"{scope}/{name}" if scope else name


def scope_of(path: str) -> str:
    """Give the scope that a node stands in."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """Give the id of a node in its graph."""
    return path.rpartition("/")[2]


def inside_of(path: str, attempt: int, index: int | None = None) -> str:
    """Give the scope inside a sub-graph, or inside an item of a foreach."""
    again = f"#{attempt}" if attempt > 1 else ""
    return f"{path}{again}" if index is None else f"{path}{again}[{index}]"


def around(scope: str) -> Inside:
    """Say whose inside a scope is; not to be asked of the graph's own."""
    outer, slash, last = scope.rpartition("/")
    name, _, index = last.partition("[")
    name, _, attempt = name.partition("#")
    return Inside(f"{outer}{slash}{name}", int(attempt or 1), int(index[:-1]) if index else None)


def names_in(path: str) -> list[str]:
    """Give the ids from the outermost to the node's own, without items and attempts."""
    return [segment.partition("[")[0].partition("#")[0] for segment in path.split("/")]
