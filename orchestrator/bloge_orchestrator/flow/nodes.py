"""Functions as nodes: called inside a graph, they add a node and give its output."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, Unpack

from bloge_orchestrator.builder_values import NodeSettings, Type
from bloge_orchestrator.expressions import Reference
from bloge_orchestrator.flow.tracing import current, tracing
from bloge_orchestrator.flow.values import Value, name, unwrapped
from bloge_orchestrator.operators import Implementation


class Node:
    """What a call inside a graph adds a node by. Made by `node`, `remote` and `operator`."""

    def __init__(
        self,
        node_id: str,
        operator: str,
        settings: Mapping[str, Any],
        output: Type | None = None,
        function: Implementation | None = None,
        *,
        runs_here: bool = False,
    ) -> None:
        self._id = node_id
        self._operator = operator
        self._settings = dict(settings)
        self._output = output
        self._function = function
        self._runs_here = runs_here
        self.__doc__ = inspect.getdoc(function) if function is not None else None

    def __call__(self, *arguments: Any, **node_input: Any) -> Any:  # noqa: ANN401 - what the function gives, or a Value
        """Add a node with this input and give its output; outside of every graph, call the function.

        Raises:
            RuntimeError: If there is neither a graph nor a function that could run here.
            TypeError: If a value cannot stand in a graph, or a remote node's function has no such parameter.

        """
        if tracing() is None and self._runs_here and self._function is not None:
            return self._function(*arguments, **node_input)
        trace = current()
        if arguments:
            raise TypeError(f"node {self._id} takes its input by field: {self._id}(field=value)")
        if self._function is not None and self._runs_here:
            trace.bring(self._operator, self._function)
        elif self._function is not None:
            inspect.signature(self._function).bind(**node_input)
        fields = unwrapped(node_input) or None
        trace.body.node(self._id, self._operator, input=fields, output=self._output, **self._settings)
        return name(self._id)

    def options(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the language's own word for it
        after: Sequence[Value | str] = (),
        **settings: Unpack[NodeSettings],
    ) -> Self:
        """Give the same node for another use: with another id, after certain nodes, or with other settings."""
        given: dict[str, Any] = {**self._settings, **settings}
        if after:
            given["depends_on"] = [id_of(each) for each in after]
        return type(self)(
            id or self._id, self._operator, given, self._output, self._function, runs_here=self._runs_here
        )


def node(
    operator: str | None = None, *, output: Type | None = None, **settings: Unpack[NodeSettings]
) -> Callable[[Implementation], Node]:
    """Make a function, sync or async, the operator of a local node; its name is the node's id.

    Args:
        operator: The operator's name; without it, that of the function.
        output: The type of its output.
        **settings: The node's settings.

    """

    def decorate(function: Implementation) -> Node:
        node_id = function.__name__
        return Node(node_id, operator or node_id, settings, output, function, runs_here=True)

    return decorate


def remote(
    operator: str, topic: str, *, output: Type | None = None, **settings: Unpack[NodeSettings]
) -> Callable[[Callable[..., Any]], Node]:
    """Make a function stand for a node that runs on workers; its name is the node's id, its body is never run.

    Its parameters are the fields of the node's input.

    Args:
        operator: The operator's name at the workers.
        topic: The worker topic whose workers run it.
        output: The type of its output.
        **settings: The node's other settings.

    """

    def decorate(function: Callable[..., Any]) -> Node:
        given: dict[str, Any] = {**settings, "execution_mode": "remote", "worker_topic": topic}
        return Node(function.__name__, operator, given, output, function)

    return decorate


def operator(name: str, *, id: str, output: Type | None = None, **settings: Unpack[NodeSettings]) -> Node:  # noqa: A002 - the language's own word for it
    """Give a node whose operator is registered elsewhere.

    Args:
        name: The operator's name.
        id: The node's id.
        output: The type of its output.
        **settings: The node's settings.

    """
    return Node(id, name, settings, output)


def id_of(step: Value | str) -> str:
    """Give the id of a node by its output.

    Raises:
        TypeError: If the value is not the output of a node as a whole.

    """
    if isinstance(step, str):
        return step
    expression = unwrapped(step)
    if not isinstance(expression, Reference):
        raise TypeError("this is a part of an output; name the node itself")
    return expression.name
