"""What a decision costs does not grow with what is around the node that it is about."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from support.executions import Simulation, compiled, remote

FEW, MANY = 50, 1000
SLACK = 1.1
"""Paths with more digits, and deeper persistent maps, cost a little more."""


def calls_of(action: Callable[[], Any]) -> int:
    """Count the function calls of an action, of Python's and of C's: the same in every run on every machine."""
    calls = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


def local_items(number: int) -> Simulation:
    """Begin a foreach over items with a local node each, half of them done, one at a time more."""
    body = "foreach loop : item in ctx.items { max_concurrency = 10 node a : Op { timeout = 1s input { x = item.x } } }"
    execution = Simulation(compiled(body), {"items": [{"x": index} for index in range(number)]})
    for index in range(number // 2):
        execution.returns(f"loop[{index}]/a", {"y": index})
    return execution


def remote_items(number: int) -> Simulation:
    """Begin a foreach over items with a remote node each."""
    return Simulation(compiled(f"foreach loop : item in ctx.items {{ {remote('far')} }}"), {"items": [0] * number})


def neighbours(number: int) -> Simulation:
    """Begin a graph of many nodes beside each other, the first of which has ended."""
    execution = Simulation(compiled("\n".join(f"node n{index} : Op {{ timeout = 1s }}" for index in range(number))))
    execution.returns("n0")
    return execution


@pytest.mark.parametrize(
    ("begin", "go_on"),
    [
        (local_items, lambda execution, number: execution.returns(f"loop[{number // 2 + 3}]/a", {"y": 1})),
        (remote_items, lambda execution, number: execution.completes(f"loop[{number // 2}]/far", {"y": 1})),
        (neighbours, lambda execution, number: execution.returns(f"n{number // 2}", {"y": 1})),
    ],
    ids=["local items", "remote items", "nodes beside each other"],
)
def test_a_decision_costs_the_same_among_few_and_among_many(
    begin: Callable[[int], Simulation], go_on: Callable[[Simulation, int], Any]
) -> None:
    """Counted in function calls, which no busy machine changes."""
    few, many = begin(FEW), begin(MANY)
    cost_of_few = calls_of(lambda: go_on(few, FEW))
    assert calls_of(lambda: go_on(many, MANY)) <= cost_of_few * SLACK
