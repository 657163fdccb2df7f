"""What stands between the nodes: transforms, branches and loops."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from bloge_orchestrator.builder import Body
from bloge_orchestrator.builder_values import ForeachSettings, Type
from bloge_orchestrator.flow.nodes import id_of
from bloge_orchestrator.flow.tracing import Trace, current, into
from bloge_orchestrator.flow.values import Value, name, unwrapped

Target = Value | str | Sequence[Value | str]
"""What an arm of a branch leads to: the output of a node, or its id, or several of them."""

_VARIABLES = (1, 2)


def transform(
    *,
    id: str | None = None,  # noqa: A002 - the language's own word for it
    let: Mapping[str, Any] | None = None,
    types: Mapping[str, Type] | None = None,
) -> Callable[[Callable[..., Mapping[str, Any]]], Value]:
    """Make a function, which is run once and at once, a transform: it gives the output by field.

    Args:
        id: The id; without it, the function's name.
        let: Names computed before the fields, in order; the function's parameters are some of them.
        types: The types of fields.

    Raises:
        RuntimeError: Outside of every graph.
        TypeError: If a parameter is no name of `let`, or a value cannot stand in a graph.

    """
    trace, named = current(), let or {}

    def decorate(function: Callable[..., Mapping[str, Any]]) -> Value:
        parameters = tuple(inspect.signature(function).parameters)
        if unknown := [each for each in parameters if each not in named]:
            raise TypeError(f"parameter {unknown[0]} of a transform must be a name of its `let`")
        fields, node_id = function(*map(name, parameters)), id or function.__name__
        trace.body.transform(node_id, unwrapped(dict(fields)), let=unwrapped(dict(named)), types=types)
        return name(node_id)

    return decorate


def branch(
    on: Any,  # noqa: ANN401 - any value that can stand in a graph
    arms: Mapping[Any, Target] | Iterable[tuple[Any, Target]],
    *,
    otherwise: Target | None = None,
    inclusive: bool = False,
) -> None:
    """Add a branch, which chooses what runs of the nodes that its arms lead to.

    Args:
        on: What the values of the arms are compared with.
        arms: Nodes by value; pairs if the values are not plain.
        otherwise: What runs if no arm fits.
        inclusive: Whether every arm that fits counts, and not the first one only.

    Raises:
        RuntimeError: Outside of every graph.
        TypeError: If a value cannot stand in a graph, or a target is no node.

    """
    pairs = arms.items() if isinstance(arms, Mapping) else arms
    given = [(unwrapped(value), _ids(target)) for value, target in pairs]
    rest = None if otherwise is None else _ids(otherwise)
    current().body.branch(unwrapped(on), given, otherwise=rest, inclusive=inclusive)


def foreach(
    items: Any,  # noqa: ANN401 - any value that can stand in a graph
    *,
    id: str | None = None,  # noqa: A002 - the language's own word for it
    sequential: bool = False,
    after: Sequence[Value | str] = (),
    **settings: Unpack[ForeachSettings],
) -> Callable[[Callable[..., None]], Value]:
    """Make a function, which is run once and at once, the body of a foreach; it adds the nodes inside.

    Its one or two parameters are the item and its index, also by name.

    Args:
        items: The list.
        id: The id; without it, the function's name.
        sequential: Whether one item is taken after the other.
        after: Nodes it waits for besides those whose outputs it reads.
        **settings: Its other settings.

    Raises:
        RuntimeError: Outside of every graph.
        TypeError: If the function has no parameter or more than two, or a value cannot stand in a graph.

    """
    trace = current()
    if after:
        settings["depends_on"] = [id_of(each) for each in after]

    def decorate(function: Callable[..., None]) -> Value:
        parameters = tuple(inspect.signature(function).parameters)
        if len(parameters) not in _VARIABLES:
            raise TypeError(f"{function.__name__} must take the item and, if it wants it, the index")
        inside, node_id = Trace(Body(), trace.operators), id or function.__name__
        with into(inside):
            function(*map(name, parameters))
        item, *index = parameters
        trace.body.foreach(
            node_id,
            unwrapped(items),
            inside.body,
            item=item,
            index=index[0] if index else None,
            sequential=sequential,
            **settings,
        )
        return name(node_id)

    return decorate


def _ids(target: Target) -> list[str]:
    return [id_of(target)] if isinstance(target, Value | str) else [id_of(each) for each in target]
