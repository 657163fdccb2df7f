"""Finds the graphs that sub-graph nodes stand for: imported files, files beside, and graphs given in Python."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bloge_orchestrator.diagnostics import Stage
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import GraphDeclaration, ImportDeclaration, OperatorReference
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.graph_files import GraphFile, GraphFileError, GraphFiles
from bloge_orchestrator.lowering.fields import NAME_PATTERN
from bloge_orchestrator.lowering.problems import PassOverError, Problems
from bloge_orchestrator.lowering.scope import Scope
from bloge_orchestrator.lowering.shape import check_level
from bloge_orchestrator.operators import OperatorRegistry
from bloge_orchestrator.suggestions import did_you_mean

DEPTH_MAX = 16
"""How deep graphs may stand in graphs."""

NODES_MAX = 10_000
"""How many nodes a graph may have with all that its sub-graphs bring along, each as often as it is used."""


class Lower(Protocol):
    """Gives the specification of a graph."""

    def __call__(
        self, declaration: GraphDeclaration, problems: Problems, subgraphs: "Subgraphs", outer: Scope | None
    ) -> GraphSpec:
        """Check the graph; `outer` is the scope around it, if it may see it."""


@dataclass
class Library:
    """What one pass shares: where files come from, what is known of them, and how many nodes there are so far.

    Graphs that see nothing of what is around them are lowered once, and are the same wherever they stand.
    """

    files: GraphFiles
    registry: OperatorRegistry | None
    lower: Lower
    parsed: dict[str, GraphDeclaration | None] = field(default_factory=dict)
    isolated: dict[str, tuple[GraphSpec, int]] = field(default_factory=dict)
    nodes: int = 0
    level: int = 0
    """How deep the scope stands that is being lowered."""

    @contextmanager
    def deeper(self, place: Place | None, problems: Problems) -> Iterator[None]:
        """Lower what is inside, one level deeper.

        Raises:
            PassOverError: If that is too deep.

        """
        self.level += 1
        check_level(self.level, place, problems)
        yield
        self.level -= 1

    def charge(self, nodes: int, place: Place | None, problems: Problems) -> None:
        """Count nodes.

        Raises:
            PassOverError: If there are too many.

        """
        self.nodes += nodes
        if self.nodes > NODES_MAX:
            message = f"with its sub-graphs the graph has more than {NODES_MAX} nodes; repeat work with a foreach"
            problems.error(Stage.LINT, "graph-too-large", message, place)
            raise PassOverError


class Subgraphs:
    """The graphs that the nodes of one file can stand for.

    Args:
        library: What the pass shares.
        problems: Takes what is wrong with the file.
        trail: The files around this one, itself last: those it is imported by, or the text that was given.
        imports: Its imports.
    """

    def __init__(
        self, library: Library, problems: Problems, trail: tuple[str, ...], imports: Iterable[ImportDeclaration] = ()
    ) -> None:
        self.library = library
        self._problems = problems
        self._trail = trail
        self._aliases: dict[str, GraphFile | None] = {}
        self._unused: dict[str, Place | None] = {}
        for each in imports:
            self._import(each)

    def _import(self, declaration: ImportDeclaration) -> None:
        alias = declaration.alias
        if alias in self._aliases:
            message = f"import alias `{alias}` is taken; give this graph another one"
            self._problems.error(Stage.LINT, "duplicate-id", message, declaration.place)
            return
        self._unused[alias] = declaration.place
        self._aliases[alias] = None
        if not declaration.path.startswith(("./", "../")):
            message = f'"{declaration.path[:80]}" must be a path beside this file: start it with `./` or `../`'
            self._problems.error(Stage.COMPILE, "invalid-import", message, declaration.path_place)
            return
        try:
            self._aliases[alias] = self.library.files.read(declaration.path, self._trail[-1])
        except GraphFileError as error:
            self._problems.error(Stage.COMPILE, "import-not-found", str(error), declaration.path_place)

    def is_named(self, operator: OperatorReference) -> bool:
        """Tell whether a node's operator is a graph: `subgraph(...)`, or the alias of an import."""
        return operator.subgraph or operator.name in self._aliases

    def warn_of_unused(self) -> None:
        """Report the imports that no node stands for."""
        for alias, place in self._unused.items():
            message = f"`{alias}` is imported and not used"
            self._problems.warning(Stage.LINT, "unused-import", message, place)

    def graph_of(self, operator: OperatorReference, node_id: str, outer: Scope | None) -> GraphSpec | None:
        """Give the graph that a node stands for, or report why there is none.

        Args:
            operator: What stands behind the node's colon.
            node_id: The node.
            outer: The scope that the graph sees besides its own; None if it is isolated.

        """
        given = operator.graph
        if isinstance(given, GraphSpec):
            return self._checked(given, operator, node_id, outer)
        if given is not None:
            subgraphs = Subgraphs(self.library, self._problems, (*self._trail, given.name))
            return None if self._too_deep(operator, node_id) else self._lower(given, subgraphs, self._problems, outer)
        file = self._file(operator, node_id)
        if file is None or self._too_deep(operator, node_id) or self._in_a_circle(file, operator, node_id):
            return None
        return self._graph_in(file, operator, outer)

    def _checked(
        self, graph: GraphSpec, operator: OperatorReference, node_id: str, outer: Scope | None
    ) -> GraphSpec | None:
        self.library.charge(_size(graph), operator.place, self._problems)
        if outer is None:
            return graph
        message = "a graph that is built already sees nothing of what is around it; give the builder that makes it"
        self._problems.error(Stage.COMPILE, "wrong-type", message, operator.place, node_id, "scope")
        return None

    def _file(self, operator: OperatorReference, node_id: str) -> GraphFile | None:
        name = operator.name
        if name in self._aliases:
            self._unused.pop(name, None)
            return self._aliases[name]
        if not NAME_PATTERN.fullmatch(name):
            message = f'"{name[:40]}" cannot name a graph: use 1 to 128 letters, digits, `.`, `_` and `-`'
            self._problems.error(Stage.COMPILE, "unknown-subgraph", message, operator.place, node_id)
            return None
        try:
            return self.library.files.read(f"./{name}", self._trail[-1])
        except GraphFileError as error:
            hint = did_you_mean(name, self._aliases)
            message = f"graph {name} is not imported, and no file beside has it: {error}{hint}"
            self._problems.error(Stage.COMPILE, "unknown-subgraph", message, operator.place, node_id)
            return None

    def _too_deep(self, operator: OperatorReference, node_id: str) -> bool:
        if len(self._trail) <= DEPTH_MAX:
            return False
        message = f"graphs stand in graphs deeper than {DEPTH_MAX} levels"
        self._problems.error(Stage.LINT, "nesting-too-deep", message, operator.place, node_id)
        return True

    def _in_a_circle(self, file: GraphFile, operator: OperatorReference, node_id: str) -> bool:
        if file.name not in self._trail:
            return False
        circle = [*self._trail[self._trail.index(file.name) :], file.name]
        message = f"graphs stand in each other in a circle: {' -> '.join(circle)}"
        self._problems.error(Stage.LINT, "import-cycle", message, operator.place, node_id)
        return True

    def _graph_in(self, file: GraphFile, operator: OperatorReference, outer: Scope | None) -> GraphSpec | None:
        library = self.library
        if outer is None and file.name in library.isolated:
            graph, size = library.isolated[file.name]
            library.charge(size, operator.place, self._problems)
            return graph
        problems = self._problems.of_file(file.name, file.text)
        declaration = self._parsed(file, problems)
        if declaration is None:
            return None
        before = library.nodes
        subgraphs = Subgraphs(library, problems, (*self._trail, file.name), declaration.imports)
        graph = self._lower(declaration, subgraphs, problems, outer)
        if outer is None:
            library.isolated[file.name] = graph, library.nodes - before
        return graph

    def _parsed(self, file: GraphFile, problems: Problems) -> GraphDeclaration | None:
        if file.name not in self.library.parsed:
            parsed = parse_graph(file.text)
            self.library.parsed[file.name] = parsed.graph
            problems.take(parsed.problems)
        return self.library.parsed[file.name]

    def _lower(
        self, declaration: GraphDeclaration, subgraphs: "Subgraphs", problems: Problems, outer: Scope | None
    ) -> GraphSpec:
        return self.library.lower(declaration, problems, subgraphs, outer)


def _size(graph: GraphSpec) -> int:
    """Count the nodes of a graph and of all that stands inside, as far as that is not too many anyway."""
    count, waiting = 0, [*graph.nodes]
    while waiting and count <= NODES_MAX:
        count += 1
        waiting += waiting.pop().inside
    return count
