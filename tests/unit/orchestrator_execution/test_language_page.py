"""The language reference tells the truth: its examples compile, and give what it says."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bloge_orchestrator import (
    ExecutionStatus,
    GraphSpec,
    OperatorRegistry,
    Severity,
    check_source,
    compile_source,
)
from bloge_orchestrator.compiler import read_source
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.dsl.refused import REFUSED
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import evaluate
from bloge_orchestrator.expressions.functions import FUNCTIONS
from support.graph_files import FilesInMemory
from support.straight_runs import run_straight

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "language.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"```(?P<kind>bloge|python)(?: (?P<word>\S+))?\n(?P<text>.*?)```\n(?P<after>(?:\n(?!```)[^\n#|-].*?(?=\n\n|\Z))?)",
    re.DOTALL,
)
"""A block of code, and the paragraph behind it."""
GIVES = re.compile(r"(?:With the input `(?P<input>.+?)` it|It) (?P<fails>fails, and )?gives `(?P<output>.+?)`\.")


@dataclass(frozen=True)
class Example:
    """One block of the page."""

    line: int
    text: str
    word: str
    given: Any
    output: Any
    fails: bool
    runs: bool

    def __str__(self) -> str:
        return f"line-{self.line}"


def examples(kind: str) -> list[Example]:
    """Return the blocks of a kind."""
    found = []
    for block in BLOCK.finditer(PAGE):
        if block["kind"] != kind:
            continue
        gives = GIVES.match(" ".join(block["after"].split()))
        line = PAGE.count("\n", 0, block.start()) + 1
        given = json.loads(gives["input"]) if gives and gives["input"] else {}
        output = json.loads(gives["output"]) if gives else None
        fails = bool(gives and gives["fails"])
        found.append(Example(line, block["text"], block["word"] or "", given, output, fails, gives is not None))
    return found


EXAMPLES = examples("bloge")
FILES = FilesInMemory({each.word[5:]: each.text for each in EXAMPLES if each.word.startswith("file=")})
GRAPHS = [each for each in EXAMPLES if not each.word]
REFUSALS = [each for each in EXAMPLES if each.word and not each.word.startswith("file=")]
ITEMS = [{"id": "a", "size": 2}, {"id": "b", "size": 5}]


def registry() -> OperatorRegistry:
    """Return the operators that the page tells of."""
    operators = OperatorRegistry()
    operators.register("Echo", lambda node_input: node_input)
    operators.register("Load", lambda _: {"kind": "small", "items": ITEMS})

    @operators.operator("Broken")
    def broken(node_input: Any) -> Any:
        raise ValueError("it always fails")

    return operators


def whole(text: str) -> str:
    """Write a graph around members that stand for themselves."""
    return text if re.search(r"^graph ", text, re.MULTILINE) else f"graph page {{\n{text}\n}}"


@pytest.mark.parametrize("example", GRAPHS, ids=str)
def test_an_example_compiles_and_gives_what_the_page_says(example: Example) -> None:
    """Without a warning; and if it says what it gives, it is run."""
    graph = compile_source(whole(example.text), filename="page.bloge", registry=registry(), files=FILES)
    assert [each.code for each in graph.diagnostics] == []
    if not example.runs:
        return
    result = run_straight(graph, example.given, {"VisionModel": lambda _: {"label": "cat"}})
    assert result.outputs == example.output
    assert result.status is (ExecutionStatus.FAILED if example.fails else ExecutionStatus.COMPLETED)


@pytest.mark.parametrize("example", REFUSALS, ids=lambda example: example.word)
def test_an_example_of_a_mistake_has_just_this_one(example: Example) -> None:
    """The page names its code."""
    found = check_source(whole(example.text), filename="page.bloge", files=FILES)
    assert {each.code for each in found if each.severity is Severity.ERROR} == {example.word}


def test_the_page_runs_its_examples() -> None:
    """It would prove nothing if the pattern did not find them any more."""
    assert len([each for each in GRAPHS if each.runs]) >= 14
    assert PAGE.count("```bloge") == len(EXAMPLES)
    assert PAGE.count("gives") >= len([each for each in GRAPHS if each.runs])


def test_the_python_of_the_page_equals_its_text() -> None:
    """All three descriptions of one graph."""
    names: dict[str, Any] = {}
    for example in examples("python"):
        exec(compile(example.text, f"language.md:{example.line}", "exec"), names)
    text = read_source(GRAPHS[-1].text, filename="page.bloge")
    assert isinstance(text, GraphSpec)
    assert names["built"].build() == text
    assert names["described"].build() == text


def test_the_page_names_all_that_is_refused() -> None:
    """A reader looks for it here."""
    assert [word for word in REFUSED if f"`{word}`" not in PAGE] == []


def test_the_message_on_the_page_is_the_one_that_is_given() -> None:
    """With its caret."""
    text = "graph g {\n  node load : Load {}\n  node b : Op {\n    input { x = lod.output }\n  }\n}"
    (shown,) = [each.render(text, "graph.bloge") for each in check_source(text) if each.code == "unknown-dependency"]
    message = re.search(r"```\n(graph\.bloge:.*?)\n```", PAGE, re.DOTALL)
    assert message is not None
    assert shown == message[1]


# ---- functions ----

ROW = re.compile(r"^\| `(?P<call>[^`]+)` \| `(?P<gives>[^`]+)` \|", re.MULTILINE)
FUNCTIONS_PAGE = (DOCS / "functions.md").read_text(encoding="utf-8")
FUNCTION_ROWS = [(row["call"], row["gives"]) for row in ROW.finditer(FUNCTIONS_PAGE)]
"""The calls and what they give."""


@pytest.mark.parametrize(("call", "gives"), FUNCTION_ROWS, ids=[call for call, _ in FUNCTION_ROWS])
def test_a_function_gives_what_its_page_says(call: str, gives: str) -> None:
    """Each call is evaluated."""
    assert evaluate(parse_expression(call), EvaluationContext()) == json.loads(gives)


def test_every_function_is_on_its_page() -> None:
    """With an example, but for those that draw on something outside."""
    assert [name for name in FUNCTIONS if not re.search(rf"\| `[^`]*\b{name}\(", FUNCTIONS_PAGE)] == []
