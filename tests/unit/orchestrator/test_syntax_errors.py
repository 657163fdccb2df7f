"""What is said about texts that do not parse, and where."""

import re

import pytest

from bloge_orchestrator import GraphInvalid, Stage
from bloge_orchestrator.dsl import parse_expression, parse_graph
from bloge_orchestrator.dsl.refused import REFUSED
from bloge_orchestrator.dsl.source import SOURCE_LENGTH_MAX

MEMBER_LEVEL = sorted(REFUSED - {"compensate", "tool"})


def problems(text: str) -> list[tuple[str, int | None, int | None]]:
    found = parse_graph(text).problems
    assert all(problem.stage is Stage.PARSE for problem in found)
    return [(problem.code, problem.line, problem.column) for problem in found]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "a file holds one `graph name { ... }`; found nothing"),
        ("node a : Op {}", 1, 1, "a file holds one `graph name { ... }`; found `node`"),
        ("graph", 1, 5, "the text ends too early: expected a name"),
        ("graph { }", 1, 7, "unexpected `{`: expected a name"),
        ("graph g {", 1, 7, "graph g is not closed: a `}` is missing"),
        ("graph g {}\n}", 2, 1, "unexpected `}` behind the end of graph g"),
        ("graph g {} graph h {}", 1, 12, "unexpected `graph` behind the end of graph g; a file holds one graph"),
        ("graph g {}'", 1, 11, "unexpected `'` behind the end of graph g"),
        ("graph g {\n node a Op {}\n}", 2, 9, "unexpected `Op`: expected `:`"),
        ("graph g {\n node a : Op { timeout 5m }\n}", 2, 24, "unexpected `5m`: expected `:`, `=` or `{`"),
        ("graph g { node a : Op { x = } }", 1, 29, "unexpected `}`: expected an expression"),
        ("graph g { node a : Op { x = [1, 2 } }", 1, 35, "unexpected `}`: expected `,` or `]`"),
        (
            "graph g { node a : Op { timeout = 1.5s } }",
            1,
            35,
            "`1.5s` is neither a number nor a duration; a duration is an integer followed by ms, s, m, h or d",
        ),
        ("graph g { node a : Op { x = \x00 } }", 1, 29, "unexpected character U+0000: expected an expression"),
        (
            "graph g { node a : Op { timeout = 9999999d } }",
            1,
            35,
            "`9999999d` is too long; a duration is at most 3650d",
        ),
        ('graph g { node a : Op { x = "\\q" } }', 1, 30, "`\\q` is not an escape"),
        (
            'graph g { node a : Op { x = "\\ud800" } }',
            1,
            30,
            "`\\u` needs four hexadecimal digits that name a character",
        ),
        ("graph g { node a : Op { x = 99999999999999999999 } }", 1, 29, "is too large for a number"),
        ("graph g { nod a : Op {} }", 1, 11, "`nod` is not a member of a graph; did you mean `node`?"),
    ],
)
def test_a_syntax_error_says_what_was_expected_and_where(text: str, line: int, column: int, message: str) -> None:
    """In human words, with the place of the first wrong character."""
    (problem,) = parse_graph(text).problems
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message


@pytest.mark.parametrize("text", ["a '", "a b", "[1 2]", "f(x, '", "x ? '"])
def test_every_expected_word_is_a_human_one(text: str) -> None:
    """No name of a terminal gets out."""
    with pytest.raises(GraphInvalid) as caught:
        parse_expression(text)
    assert not re.search("[A-Z]{3}", caught.value.diagnostics[0].message)


def test_a_call_with_a_blank_is_explained() -> None:
    """A parenthesis that calls touches the name."""
    (problem,) = parse_graph("graph g { node a : Op { x = size (y) } }").problems
    assert problem.message.endswith("a `(` that calls or indexes touches the name before it")


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ('graph g { node a : Op { x = "abc\n } }', "unterminated-string", 29),
        ('graph g { node a : Op { x = "a ${ b"\n } }', "unterminated-string", 29),
        ('graph g { node a : Op { x = """abc } }', "unterminated-string", 29),
        ("graph g { node a : Op { /* /* */ } }", "unterminated-comment", 25),
    ],
)
def test_what_does_not_end_is_reported_where_it_starts(text: str, code: str, column: int) -> None:
    """Strings and comments without an end."""
    assert problems(text)[0] == (code, 1, column)


def test_one_string_without_an_end_is_one_problem() -> None:
    """The parser goes on behind it as if there had been a value."""
    assert problems('graph g {\n node a : Op {\n x = "abc\n y = 1\n }\n}') == [("unterminated-string", 3, 6)]


def test_errors_in_different_members_are_reported_in_one_pass() -> None:
    """Each member is tried on its own; good ones between do not hide bad ones."""
    text = """graph g {
  node a : Op { x = }
  node good : Op { timeout = 5m }
  node b Op {}
  foreach x in ctx.items {
    node inner : Op { y = }
  }
  nod c : Op {}
  node d : Op { timeout = 5m
  node e : Op { y = [1 }
}
rest
"""
    assert problems(text) == [
        ("syntax-error", 2, 21),
        ("syntax-error", 4, 10),
        ("syntax-error", 5, 13),
        ("unknown-member", 8, 3),
        ("syntax-error", 9, 28),
        ("syntax-error", 10, 24),
        ("syntax-error", 12, 1),
    ]


def test_the_readable_members_of_a_broken_graph_are_kept() -> None:
    """Marked as incomplete, so that no reference to a lost member is called unknown."""
    graph = parse_graph("graph g { node a : Op {} node b Op {} node c : Op {} }").graph
    assert graph is not None
    assert ([member.id for member in graph.members], graph.complete) == (["a", "c"], False)  # type: ignore[union-attr]  # both are nodes


@pytest.mark.parametrize("construct", MEMBER_LEVEL)
def test_known_constructs_are_refused_by_name(construct: str) -> None:
    """Whatever their body holds, and with the place of the keyword."""
    (problem,) = parse_graph(f"graph g {{\n  {construct} x on y {{ a -> b {{ }} }}\n}}").problems
    assert problem.code == "outside-project"
    assert f"`{construct}`" in problem.message
    assert (problem.line, problem.column) == (2, 3)


@pytest.mark.parametrize("root", ["session", "state_machine", "agent"])
def test_other_roots_are_refused_by_name(root: str) -> None:
    """A file may be of the same language family and yet none of ours."""
    assert problems(f"// hello\n{root} x {{ }}") == [("outside-project", 2, 1)]


def test_imports_above_a_broken_graph_are_read() -> None:
    """Those that are wrong are reported, and so is an error behind them."""
    text = 'import "./a" as a\nimport ./b as b\ngraph g { node n Op {} }'
    assert problems(text) == [("syntax-error", 2, 8), ("syntax-error", 3, 18)]
    graph = parse_graph(text).graph
    assert graph is not None
    assert [each.alias for each in graph.imports] == ["a"]


def test_the_inside_of_a_broken_foreach_is_taken_apart() -> None:
    """Every member of it is tried on its own, at any depth, and so are its settings."""
    text = """graph g {
  foreach loop : (item, i) in when ctx.x { 1 -> [{ a: 1 }] otherwise -> [] } {
    max_concurrency = = 3
    node good : Op { timeout = 5m }
    node bad Op {}
    schema S { a: Int }
    foreach deeper : x in item.list {
      transform t { y = }
      saga { order = backward }
    }
    branch on i { 1 > bad }
  }
  node after : Op { timeout = }
}"""
    assert problems(text) == [
        ("syntax-error", 3, 23),
        ("syntax-error", 5, 14),
        ("unknown-member", 6, 5),
        ("syntax-error", 8, 25),
        ("outside-project", 9, 7),
        ("syntax-error", 11, 27),
        ("syntax-error", 13, 31),
    ]


@pytest.mark.parametrize(
    ("member", "column", "message"),
    [
        ("foreach x in ctx.items { node a : Op {} }", 11, "unexpected `in`: expected `:`"),
        ("foreach x : in ctx.items { node a : Op {} }", 16, "unexpected `ctx`: expected `in`"),
        ("foreach x : (a, b, c) in ctx.items { node a : Op {} }", 18, "unexpected `,`: expected `)`"),
        ("foreach x : a in { node a : Op {} }", 25, "unexpected `a`: expected `:`"),
        ("foreach x : a in ctx.items { input { a = 1 } }", 30, "`input` cannot stand inside a foreach"),
        ("branch ctx.x { true -> a }", 8, "unexpected `ctx`: expected `mode` or `on`"),
        ("branch on ctx.x { true -> a.b }", 28, "unexpected `.`"),
        ("branch on ctx.x { otherwise -> a true -> b }", 34, "unexpected `true`: expected `,` or `}`"),
        ("branch on ctx.x { true -> [] }", 28, "unexpected `]`: expected a name"),
    ],
)
def test_what_is_wrong_with_a_branch_or_a_foreach_is_said_in_its_words(member: str, column: int, message: str) -> None:
    """With the place of the first word that does not fit."""
    (problem,) = parse_graph(f"graph g {{\n{member}\n}}").problems
    assert (problem.line, problem.column) == (2, column)
    assert message in problem.message


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ("{a: ", "}"), ("!", ""), ("f(", ")"), ("x ? 1 : ", ""), ("when { true -> ", "}"), ("x + (", ")")],
)
def test_deep_nesting_is_refused(opening: str, closing: str) -> None:
    """With a finding, not with a stack overflow."""
    text = f"graph g {{ node a : Op {{ x = {opening * 2000}y{closing * 2000} }} }}"
    assert [code for code, _, _ in problems(text)] == ["nesting-too-deep"]


def test_parentheses_alone_nest_nothing() -> None:
    """They leave no trace in the tree."""
    assert problems(f"graph g {{ node a : Op {{ x = {'(' * 2000}y{')' * 2000} }} }}") == []


def test_a_source_that_is_too_large_is_refused_unread() -> None:
    """The limit keeps the time bounded."""
    assert problems(" " * (SOURCE_LENGTH_MAX + 1)) == [("source-too-large", 1, 1)]


def test_a_lone_surrogate_is_refused() -> None:
    """It could not be written to an envelope."""
    assert problems("graph g {\n \ud800 }") == [("invalid-character", 2, 2)]
