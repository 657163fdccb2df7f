"""Functions as graphs."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Unpack

from bloge_orchestrator.builder import GraphBuilder
from bloge_orchestrator.builder_values import SubgraphSettings, Type
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.expressions.context import CONTEXT_NAME
from bloge_orchestrator.flow.nodes import id_of
from bloge_orchestrator.flow.tracing import Trace, current, into
from bloge_orchestrator.flow.values import Value, name, unwrapped
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.operators import OperatorRegistry


class Graph:
    """A graph that a function describes; the function is run when the graph is first asked for.

    Called inside another graph, it adds a sub-graph node there.
    """

    def __init__(self, function: Callable[..., None], builder: GraphBuilder) -> None:
        self._function = function
        self._builder = builder
        self.__doc__ = inspect.getdoc(function)

    @cached_property
    def _trace(self) -> Trace:
        trace = Trace(self._builder)
        parameters = inspect.signature(self._function).parameters
        with into(trace):
            self._function(*[name(CONTEXT_NAME)][: len(parameters)])
        return trace

    def __call__(self, **node_input: Any) -> Value:  # noqa: ANN401 - any value that can stand in a graph
        """Add a node that stands for this graph, with this input; gives its output.

        Raises:
            RuntimeError: Outside of every graph.
            TypeError: If a value cannot stand in a graph.

        """
        return Subgraph(self, self._function.__name__, {})(**node_input)

    def options(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the language's own word for it
        after: Sequence[Value | str] = (),
        **settings: Unpack[SubgraphSettings],
    ) -> "Subgraph":
        """Give this graph as a node with an id and settings of its own, and say which nodes it comes after."""
        given: dict[str, Any] = {**settings}
        if after:
            given["depends_on"] = [id_of(each) for each in after]
        return Subgraph(self, id or self._function.__name__, given)

    def build(self) -> GraphSpec:
        """Check the graph and give it.

        Raises:
            GraphInvalid: If the graph has errors.

        """
        return self.builder.build()

    def compile(self, registry: OperatorRegistry | None = None) -> CompiledGraph:
        """Check the graph and compile it against its own functions, and the operators of a registry.

        Raises:
            GraphInvalid: If the graph has errors.
            OperatorError: If a function has the name of an operator of the registry.

        """
        return self.builder.compile(self._registry(registry or OperatorRegistry()))

    @property
    def builder(self) -> GraphBuilder:
        """The builder of the graph."""
        self._trace  # noqa: B018 - the function fills it
        return self._builder

    @property
    def operators(self) -> Mapping[str, Any]:
        """The functions that are operators of the graph, by name."""
        return self._trace.operators

    def _registry(self, others: OperatorRegistry) -> OperatorRegistry:
        registry = OperatorRegistry()
        for operator in map(others.lookup, others.names()):
            if operator is not None:
                registry.register(operator.name, operator.implementation)
        for operator_name, function in self.operators.items():
            registry.register(operator_name, function)
        return registry


class Subgraph:
    """A graph as a node of another one."""

    def __init__(self, graph: Graph, node_id: str, settings: Mapping[str, Any]) -> None:
        self._graph = graph
        self._id = node_id
        self._settings = settings

    def __call__(self, **node_input: Any) -> Value:  # noqa: ANN401 - any value that can stand in a graph
        """Add the node with this input; gives its output.

        Raises:
            RuntimeError: Outside of every graph.
            TypeError: If a value cannot stand in a graph.

        """
        trace = current()
        for operator, function in self._graph.operators.items():
            trace.bring(operator, function)
        fields = unwrapped(node_input) or None
        trace.body.subgraph(self._id, self._graph.builder, input=fields, **self._settings)
        return name(self._id)


def graph(
    *,
    name: str | None = None,
    input: Mapping[str, Type] | None = None,  # noqa: A002 - the language's own word for it
    output: Mapping[str, Type] | None = None,
    schemas: Mapping[str, Mapping[str, Type]] | None = None,
) -> Callable[[Callable[..., None]], Graph]:
    """Make a function the description of a graph: it adds the nodes. Its parameter, if it has one, is the input.

    Args:
        name: The graph's name; without it, the function's.
        input: The types of what it is given.
        output: The types of what it gives.
        schemas: Types by name.

    Raises:
        GraphInvalid: If a type is not one.

    """

    def decorate(function: Callable[..., None]) -> Graph:
        builder = GraphBuilder(name or function.__name__)
        for schema, fields in (schemas or {}).items():
            builder.schema(schema, fields)
        if input is not None:
            builder.input(input)
        if output is not None:
            builder.output(output)
        return Graph(function, builder)

    return decorate
