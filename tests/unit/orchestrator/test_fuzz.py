"""No text does anything but compile or be refused."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bloge_orchestrator import CompiledGraph, GraphInvalid, OperatorRegistry, compile_source
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError, evaluate
from bloge_orchestrator.expressions.functions import FUNCTIONS
from bloge_orchestrator.graph_json import decode_graph, encode_graph

SOURCE = """/// A graph.
graph g {
  input { id: String }
  schema S { a: [Int]? }
  node load : Load { input { id = "${ctx.id ?? "none"}" n = -1.5e3 } timeout = 10s fallback = { a: [true, null] } }
  node infer : Model {
    depends_on = [load]  execution_mode = remote  worker_topic = "gpu" // remote
    timeout = 5m  retry = { attempts: 3, backoff: 2s, strategy: exponential }
    input { x = when load.n { 1 -> "a"  otherwise -> map(load.output.items, (x, i) -> x?.y[0] * i) } }
  }
  transform t { let y = infer.output?["k"]  n: Int? = y > 1 && !false ? y % 2 : size(y) }
}
"""
PIECES = st.sampled_from(
    [
        *"{}[]()=:,.-?\n\\\x00 é\ud800",
        *('"', '"""', "${", "//", "/*", "*/", "->", "?.", "??", "?["),
        *("node", "graph", "branch", "when", "5m", "1.5", "1e999", "timeout = ", "x"),
    ]
)


def compiled(text: str) -> CompiledGraph | GraphInvalid:
    """Compile a text; anything but these two answers fails the test."""
    registry = OperatorRegistry()
    registry.register("Load", lambda node_input: node_input)
    try:
        return compile_source(text, filename="g.bloge", registry=registry)
    except GraphInvalid as error:
        return error


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Delete, repeat, insert or move a few parts of a good graph."""
    text = SOURCE
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        middle = draw(PIECES | st.just("") | st.just(text[start:end] * 2) | st.just(text[end : end + 20]))
        text = text[:start] + middle + text[end:]
    return text


@settings(deadline=None, max_examples=100)
@given(mutated())
def test_a_mutated_graph_compiles_or_is_refused_with_findings(text: str) -> None:
    """Every finding has a place inside the text; what compiles can be recorded."""
    outcome = compiled(text)
    if isinstance(outcome, CompiledGraph):
        assert decode_graph(encode_graph(outcome.spec)) == outcome.spec
        return
    lines = text.split("\n")
    for found in outcome.diagnostics:
        assert found.line is not None
        assert found.column is not None
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
    assert str(outcome)


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
