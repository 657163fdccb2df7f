"""No text does anything but compile or be refused."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bloge_orchestrator import CompiledGraph, GraphInvalid, OperatorRegistry, compile_source
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError, evaluate
from bloge_orchestrator.expressions.functions import FUNCTIONS
from bloge_orchestrator.formatting import format_source
from bloge_orchestrator.graph_json import decode_graph, encode_graph
from bloge_orchestrator.rendering import mermaid, svg
from support.graph_files import FilesInMemory
from support.graph_texts import ENRICH, EVERYTHING

FILES = FilesInMemory({"enrich.bloge": ENRICH})
PIECES = st.sampled_from(
    [
        *"{}[]()=:,.-?\n\\\x00 é\ud800",
        *('"', '"""', "${", "//", "/*", "*/", "->", "?.", "??", "?["),
        *("node", "graph", "branch", "foreach", "import", "when", "otherwise", "subgraph(", "in", "on", "sequential"),
        *("5m", "1.5", "1e999", "timeout = ", "x", "label", "load", "ctx"),
    ]
)


def compiled(text: str) -> CompiledGraph | GraphInvalid:
    """Compile a text; anything but these two answers fails the test."""
    registry = OperatorRegistry()
    for name in ("Load", "Op", "Fetch"):
        registry.register(name, lambda node_input: node_input)
    try:
        return compile_source(text, filename="g.bloge", registry=registry, files=FILES)
    except GraphInvalid as error:
        return error


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Delete, repeat, insert or move a few parts of a good graph."""
    text = EVERYTHING
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        middle = draw(PIECES | st.just("") | st.just(text[start:end] * 2) | st.just(text[end : end + 20]))
        text = text[:start] + middle + text[end:]
    return text


@settings(deadline=None, max_examples=100)
@given(mutated())
def test_a_mutated_graph_compiles_or_is_refused_with_findings(text: str) -> None:
    """Every finding has a place inside the text; what compiles can be recorded and drawn."""
    outcome = compiled(text)
    if isinstance(outcome, CompiledGraph):
        assert decode_graph(encode_graph(outcome.spec)) == outcome.spec
        assert svg(outcome.spec)
        assert mermaid(outcome.spec)
        return
    lines = text.split("\n")
    for found in outcome.diagnostics:
        assert found.file is None
        assert found.line is not None
        assert found.column is not None
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
    assert str(outcome)


@settings(deadline=None, max_examples=50)
@given(mutated())
def test_a_mutated_graph_is_formatted_or_refused(text: str) -> None:
    """What is formatted is left alone the next time."""
    with suppress(GraphInvalid):
        formatted = format_source(text)
        assert format_source(formatted) == formatted


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60) | st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_refused_with_findings(text: str) -> None:
    """Random characters and random words: alone, as a member, and as a value."""
    for candidate in (text, f"graph g {{ {text} }}", f"graph g {{ node a : Op {{ x = {text} }} }}"):
        outcome = compiled(candidate)
        assert isinstance(outcome, GraphInvalid)
        assert outcome.diagnostics


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abk"), inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.sampled_from(
    ["ctx.a", "ctx.b", "ctx.k", "1", "-1.5", '"a"', '"2030-01-01"', "null", "[]", "x -> x", "(x, y) -> y"]
)


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(ARGUMENTS, max_size=3),
    st.fixed_dictionaries({"a": JSON, "b": JSON, "k": JSON}),
)
def test_any_call_has_a_value_or_a_typed_error(name: str, arguments: list[str], context: dict[str, object]) -> None:
    """Whatever the arguments, of every function; and the input stays as it was."""
    before = repr(context)
    expression = parse_expression(f"{name}({', '.join(arguments)})")
    with suppress(ExpressionError):
        evaluate(expression, EvaluationContext(input=context))
    assert repr(context) == before
