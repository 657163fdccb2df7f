"""What the language accepts, and the tree it gives."""

import pytest

from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.source import Place
from bloge_orchestrator.dsl.tree import (
    Block,
    GraphDeclaration,
    NodeDeclaration,
    Output,
    PortsDeclaration,
    SchemaDeclaration,
    Setting,
    TransformDeclaration,
)
from bloge_orchestrator.expressions import Array, Duration, Literal, Object, Reference
from bloge_orchestrator.expressions.formatter import format_expression

SEED_LINE = (
    "node gpuInference : InferenceOperator { depends_on = [prepareBatch]  execution_mode = remote  "
    'worker_topic = "gpu-inference"  timeout = 5m  retry = { attempts: 3, backoff: 2s, strategy: exponential } }'
)
SEED_LINES = """
node gpuInference : InferenceOperator {
depends_on = [prepareBatch]
execution_mode = remote
worker_topic = "gpu-inference"
timeout = 5m
retry = { attempts: 3, backoff: 2s, strategy: exponential }
}"""


def parsed(text: str) -> GraphDeclaration:
    result = parse_graph(text)
    assert result.problems == ()
    assert result.graph is not None
    assert result.graph.complete
    return result.graph


def only_node(text: str) -> NodeDeclaration:
    (node,) = parsed(f"graph g {{ {text} }}").members
    assert isinstance(node, NodeDeclaration)
    return node


def settings_of(node: NodeDeclaration) -> dict[str, str]:
    return {entry.name: format_expression(entry.value) for entry in node.entries if isinstance(entry, Setting)}


@pytest.mark.parametrize("text", [SEED_LINE, SEED_LINES])
def test_the_seed_line_parses_as_it_stands(text: str) -> None:
    """On one line or on many, with double blanks and without commas."""
    node = only_node(text)
    assert (node.id, node.operator.name, node.operator.subgraph) == ("gpuInference", "InferenceOperator", False)
    assert settings_of(node) == {
        "depends_on": "[prepareBatch]",
        "execution_mode": "remote",
        "worker_topic": '"gpu-inference"',
        "timeout": "5m",
        "retry": "{attempts: 3, backoff: 2s, strategy: exponential}",
    }


def test_commas_are_optional_in_blocks() -> None:
    """The same node with and without commas."""
    with_commas = only_node(
        "node a : Op { input { x = 1, y = 2, }, timeout = 1s, retry = { attempts: 1, backoff: 1s, } }"
    )
    without = only_node("node a : Op { input { x = 1 y = 2 } timeout = 1s retry = { attempts: 1 backoff: 1s } }")
    assert settings_of(with_commas) == settings_of(without)


def test_every_member_has_its_declaration() -> None:
    """Nodes, transforms, schemas and the graph's own input and output."""
    graph = parsed(
        """graph g {
          input { id: String }
          output { n: Int? }
          schema S { a: String  b: Int?, c: { d: Number } e: [S]? }
          node a : pkg.Op { input { x = ctx.id } output : S }
          transform t { let y = a.output.x  n: Int? = y }
        }"""
    )
    assert [type(member) for member in graph.members] == [
        PortsDeclaration,
        PortsDeclaration,
        SchemaDeclaration,
        NodeDeclaration,
        TransformDeclaration,
    ]


def test_places_are_those_of_the_source() -> None:
    """A line and a column, from 1, for ids, settings and values."""
    node = only_node("\n  node a : Op {\n    timeout = 5m\n  }")
    (timeout,) = node.entries
    assert isinstance(timeout, Setting)
    assert (node.place, node.operator.place, timeout.place) == (Place(2, 8), Place(2, 12), Place(3, 5))
    assert (timeout.value.line, timeout.value.column) == (3, 15)


def test_an_empty_body_is_legal() -> None:
    """A node may say nothing but its operator."""
    assert only_node("node a : Op {}").entries == ()


def test_a_subgraph_reference_parses() -> None:
    """So that the rules about it can be reported by name."""
    node = only_node('node a : subgraph("other") { timeout = 1s }')
    assert node.operator.subgraph
    assert node.operator.name == "other"


def test_keywords_are_names_where_no_keyword_fits() -> None:
    """A field may be called like a member, a member like a keyword."""
    node = only_node("node node : when { input { node = ctx.transform  output = x.input.true  when = 1 } }")
    (block,) = node.entries
    assert isinstance(block, Block)
    assert [format_expression(setting.value) for setting in block.settings] == ["ctx.transform", "x.input.true", "1"]


def test_node_output_forms() -> None:
    """An inline object, or the name of a schema."""
    inline, named = only_node("node a : Op { output { x: Int } }"), only_node("node a : Op { output : S? }")
    assert all(isinstance(node.entries[0], Output) for node in (inline, named))


def test_values_of_settings_are_expressions() -> None:
    """So that a wrong type is a finding with a place, not a syntax error."""
    node = only_node('node a : Op { a = [b] c = remote d = 5m e = "5" f = { g: 1 } }')
    values = [entry.value for entry in node.entries if isinstance(entry, Setting)]
    assert [type(value) for value in values] == [Array, Reference, Duration, Literal, Object]


@pytest.mark.parametrize(
    "comment",
    ["// line", "/* block */", "/* a /* nested /* deep */ */ b */", '/* " */', '// "', "/** doc */", "/// doc"],
)
def test_comments_are_blanks(comment: str) -> None:
    """Of every kind, nested ones too, and quotes in them open no string."""
    node = only_node(f"{comment}\nnode a : Op {{ {comment}\n timeout {comment}\n = 5m }}")
    assert settings_of(node) == {"timeout": "5m"}


def test_a_string_holds_no_comment() -> None:
    """Slashes in a string are text."""
    assert settings_of(only_node('node a : Op { x = "http://a/*b*/" }')) == {"x": '"http://a/*b*/"'}


def test_doc_comments_belong_to_what_follows() -> None:
    """Lines are joined, a block's margin is taken off, an ordinary comment between does not matter."""
    graph = parsed(
        """/// A graph.
        /// Two lines.
        graph g {
          /**
           * A node.
           */
          // not a doc
          node a : Op {}
          node b : Op {}
          //// not a doc either
          transform t {}
        }"""
    )
    docs = [member.doc for member in graph.members if isinstance(member, NodeDeclaration | TransformDeclaration)]
    assert (graph.doc, docs) == ("A graph.\nTwo lines.", ["A node.", "", ""])
