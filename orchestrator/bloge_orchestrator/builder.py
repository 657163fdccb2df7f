"""The same graph in Python: what the builder makes equals what its text would compile to, under the same rules."""

from collections.abc import Mapping
from typing import Any, Self, Unpack

from bloge_orchestrator.builder_values import (
    Arms,
    ForeachSettings,
    NodeSettings,
    Retry,
    SubgraphSettings,
    Targets,
    Type,
    choices_of,
    entries_of,
    object_of,
    projections_of,
    settings_of,
)
from bloge_orchestrator.compiled import CompiledGraph, link
from bloge_orchestrator.compiler import check_declaration
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.dsl.tree import (
    BranchDeclaration,
    ForeachDeclaration,
    GraphDeclaration,
    NodeDeclaration,
    OperatorReference,
    PortsDeclaration,
    SchemaDeclaration,
    StepDeclaration,
    TransformDeclaration,
)
from bloge_orchestrator.expressions import Expression, Reference
from bloge_orchestrator.expressions.static import literal
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.graph_files import GraphFiles
from bloge_orchestrator.operators import OperatorRegistry

__all__ = ["Body", "ForeachSettings", "GraphBuilder", "NodeSettings", "Retry", "SubgraphSettings", "expr"]


def expr(text: str) -> Expression:
    """Read an expression, such as `load.output.items`.

    Raises:
        GraphInvalid: If the text is not an expression.

    """
    return parse_expression(text)


class Body:
    """Nodes that see each other, one after the other: those inside a foreach, or, as a `GraphBuilder`, of a graph.

    Values are plain Python; what is computed stands in `expr(...)`.
    """

    def __init__(self) -> None:
        self._steps: list[StepDeclaration] = []

    def node(
        self,
        node_id: str,
        operator: str,
        *,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the language's own word for it
        output: Type | None = None,
        **settings: Unpack[NodeSettings],
    ) -> Self:
        """Add a node.

        Args:
            node_id: Its id.
            operator: The name of its operator.
            input: Its input by field: plain values, timedeltas or `expr(...)`.
            output: The type of its output.
            **settings: Its other settings.

        Raises:
            GraphInvalid: If a duration or a type is not one.
            TypeError: If a value cannot stand in a graph.

        """
        entries = tuple(entries_of(settings, input, output))
        return self._add(NodeDeclaration(node_id, OperatorReference(operator, None), entries, None))

    def subgraph(
        self,
        node_id: str,
        graph: "GraphBuilder | GraphSpec | str",
        *,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the language's own word for it
        **settings: Unpack[SubgraphSettings],
    ) -> Self:
        """Add a node that stands for a whole graph.

        Args:
            node_id: Its id.
            graph: The graph: its builder as it is now, its specification, or the name of a file.
            input: What is `ctx` inside, by field: plain values, timedeltas or `expr(...)`.
            **settings: Its other settings.

        Raises:
            GraphInvalid: If a duration is not one.
            TypeError: If a value cannot stand in a graph.

        """
        if isinstance(graph, str):
            operator = OperatorReference(graph, None, subgraph=True)
        else:
            given = graph if isinstance(graph, GraphSpec) else graph.declaration()
            operator = OperatorReference(given.name, None, subgraph=True, graph=given)
        return self._add(NodeDeclaration(node_id, operator, tuple(entries_of(settings, input, None)), None))

    def transform(
        self,
        node_id: str,
        fields: Mapping[str, Any],
        *,
        let: Mapping[str, Any] | None = None,
        types: Mapping[str, Type] | None = None,
    ) -> Self:
        """Add a transform.

        Args:
            node_id: Its id.
            fields: Its output by field: plain values, timedeltas or `expr(...)`.
            let: Names computed before the fields, in order.
            types: The types of fields.

        Raises:
            GraphInvalid: If a type is not one.
            TypeError: If a value cannot stand in a graph.

        """
        return self._add(TransformDeclaration(node_id, projections_of(fields, let, types), None))

    def branch(self, on: Any, arms: Arms, *, otherwise: Targets | None = None, inclusive: bool = False) -> Self:  # noqa: ANN401 - any value that can stand in a graph
        """Add a branch, which chooses what runs of the nodes that its arms lead to.

        Args:
            on: What the values of the arms are compared with.
            arms: Ids of nodes by value.
            otherwise: What runs if no arm fits.
            inclusive: Whether every arm that fits counts, and not the first one only.

        Raises:
            TypeError: If a value cannot stand in a graph.

        """
        mode = Reference("inclusive") if inclusive else None
        return self._add(BranchDeclaration(literal(on), choices_of(arms, otherwise), None, mode))

    def foreach(
        self,
        node_id: str,
        items: Any,  # noqa: ANN401 - any value that can stand in a graph
        body: "Body",
        *,
        item: str = "item",
        index: str | None = None,
        sequential: bool = False,
        **settings: Unpack[ForeachSettings],
    ) -> Self:
        """Add nodes that run for each item of a list.

        Args:
            node_id: Its id.
            items: The list: a list of plain values, or `expr(...)`.
            body: What runs for each item, as it is now.
            item: The name of the item inside.
            index: The name of the item's position inside, from 0; None for no such name.
            sequential: Whether one item is taken after the other.
            **settings: Its other settings.

        Raises:
            TypeError: If a value cannot stand in a graph.

        """
        variables = tuple(Reference(name) for name in (item, index) if name is not None)
        steps = tuple(body._steps)  # noqa: SLF001 - a body is of this class
        given = settings_of(settings)
        return self._add(ForeachDeclaration(node_id, variables, literal(items), given, steps, None, sequential))

    def _add(self, step: StepDeclaration) -> Self:
        self._steps.append(step)
        return self


class GraphBuilder(Body):
    """Builds a graph node by node.

    Args:
        name: The graph's name.
        files: Where the graphs come from that sub-graph nodes name; None if they name none.
    """

    def __init__(self, name: str, *, files: GraphFiles | None = None) -> None:
        super().__init__()
        self._name = name
        self._files = files
        self._types: list[SchemaDeclaration | PortsDeclaration] = []

    def schema(self, name: str, fields: Mapping[str, Type]) -> Self:
        """Declare a type by name.

        Raises:
            GraphInvalid: If a type is not one.

        """
        self._types.append(SchemaDeclaration(name, object_of(fields), None))
        return self

    def input(self, fields: Mapping[str, Type]) -> Self:
        """Declare what the graph is given.

        Raises:
            GraphInvalid: If a type is not one.

        """
        self._types.append(PortsDeclaration("input", object_of(fields), None))
        return self

    def output(self, fields: Mapping[str, Type]) -> Self:
        """Declare what the graph gives.

        Raises:
            GraphInvalid: If a type is not one.

        """
        self._types.append(PortsDeclaration("output", object_of(fields), None))
        return self

    def declaration(self) -> GraphDeclaration:
        """Give the graph as it would be read from a text, unchecked."""
        return GraphDeclaration(self._name, (*self._types, *self._steps), None)

    def build(self) -> GraphSpec:
        """Check the graph and give it.

        Raises:
            GraphInvalid: If the graph has errors.

        """
        return check_declaration(self.declaration(), files=self._files)[0]

    def compile(self, registry: OperatorRegistry) -> CompiledGraph:
        """Check the graph and compile it against the operators of this process.

        Raises:
            GraphInvalid: If the graph has errors.

        """
        spec, warnings = check_declaration(self.declaration(), registry=registry, files=self._files)
        return link(spec, registry, warnings)
