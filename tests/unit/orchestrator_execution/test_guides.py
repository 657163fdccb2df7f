"""The guides tell the truth: their graphs compile, and their functions do what is said."""

import re
from pathlib import Path
from typing import Any

import pytest

from bloge_orchestrator import ExecutionStatus, OperatorRegistry, compile_source
from bloge_orchestrator.dsl import parse_graph
from support.straight_runs import run_straight

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guides/move-a-node-out.md").read_text(encoding="utf-8")
BEFORE, AFTER, MANY, EITHER = re.findall(r"```bloge\n(.*?)```", GUIDE, re.DOTALL)
OPERATORS, WORKER = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def executed(code: str) -> dict[str, Any]:
    """Run a module of the guide; return its names."""
    names: dict[str, Any] = {}
    exec(compile(code, "guide", "exec"), names)
    return names


def outputs(text: str, given: dict[str, Any], registry: OperatorRegistry | None = None) -> Any:
    """Run a graph of the guide with its operators and its handler."""
    whole = text if text.startswith("graph") else f"graph page {{\n{text}\n}}"
    operators = registry or executed(OPERATORS)["registry"]
    graph = compile_source(whole, filename="guide.bloge", registry=operators)
    assert graph.diagnostics == ()
    result = run_straight(graph, given, {"Summarize": executed(WORKER)["summarize"]})
    assert result.status is ExecutionStatus.COMPLETED
    return result.outputs


@pytest.mark.parametrize("text", [BEFORE, AFTER], ids=["in the process", "on a worker"])
def test_the_graph_gives_the_same_before_and_after(text: str) -> None:
    """What reads the node notices nothing."""
    assert outputs(text, {"text": " one  two three four "}) == {"answer": {"summary": "one two three"}}


def test_the_operator_may_be_deleted_afterwards() -> None:
    """It is not looked up any more."""
    registry = OperatorRegistry()
    registry.register("CleanText", executed(OPERATORS)["clean_text"])
    assert outputs(AFTER, {"text": "one two three four"}, registry) == {"answer": {"summary": "one two three"}}


def test_many_texts() -> None:
    """A list in the order of the items."""
    assert outputs(MANY, {"texts": ["a b c", "d"]}) == {
        "each": [{"summarize": {"summary": "a b"}}, {"summarize": {"summary": "d"}}]
    }


@pytest.mark.parametrize("remote", [True, False])
def test_a_branch_decides_who_does_it(*, remote: bool) -> None:
    """With the same answer."""
    assert outputs(EITHER, {"text": "a b c", "remote": remote}) == {"answer": {"summary": "a b"}}


def test_the_graphs_of_the_readme_are_graphs() -> None:
    """What a reader sees first must parse."""
    blocks = re.findall(r"```\n((?:node|foreach) .*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    assert [parse_graph(f"graph readme {{ {block} }}").problems for block in blocks] == [(), ()]
