"""The registry of local operators."""

import inspect

import pytest

from bloge_orchestrator import ExecutionContext, OperatorContext, OperatorRegistry
from bloge_orchestrator.operators import Json, OperatorError

CONTEXT = OperatorContext(ExecutionContext("g", "e-1", "a"), attempt=2)


def test_lookup_and_names() -> None:
    """Found by name, listed in order, None if unknown."""
    registry = OperatorRegistry()
    registry.register("B", lambda node_input: node_input)
    registry.register("A", lambda node_input: node_input)
    assert registry.names() == ("A", "B")
    assert registry.lookup("C") is None


def test_an_operator_may_ask_for_its_context() -> None:
    """Its second parameter decides; the decorated function stays as it was."""
    registry = OperatorRegistry()

    @registry.operator("Plain")
    def plain(node_input: dict[str, Json]) -> Json:
        return node_input["x"]

    @registry.operator("Curious")
    def curious(node_input: dict[str, Json], context: OperatorContext) -> Json:
        return context.attempt, context.execution.node_id, node_input["x"]

    operators = [registry.lookup(name) for name in ("Plain", "Curious")]
    assert [operator.call({"x": 1}, CONTEXT) for operator in operators if operator] == [1, (2, "a", 1)]
    assert plain({"x": 5}) == 5


async def test_an_asynchronous_operator_answers_with_an_awaitable() -> None:
    """The caller awaits it."""
    registry = OperatorRegistry()

    @registry.operator("Slow")
    async def slow(node_input: dict[str, Json]) -> Json:
        return node_input["x"]

    operator = registry.lookup("Slow")
    assert operator is not None
    answer = operator.call({"x": 1}, CONTEXT)
    assert inspect.isawaitable(answer)
    assert await answer == 1


def test_a_name_is_taken_once() -> None:
    """Two operators of one name would make the graph's meaning depend on the order of imports."""
    registry = OperatorRegistry()
    registry.register("A", lambda node_input: node_input)
    with pytest.raises(OperatorError, match="operator A is already registered"):
        registry.register("A", lambda node_input: node_input)


@pytest.mark.parametrize("wrong", [lambda: None, lambda a, b, c: None, lambda *, node_input: None])
def test_a_callable_that_takes_no_input_is_refused(wrong: object) -> None:
    """When it is registered, not when it is called."""
    with pytest.raises(OperatorError, match="operator A must take the input"):
        OperatorRegistry().register("A", wrong)  # type: ignore[arg-type]  # the signature is what is tested
