"""The canonical form of texts."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloge_orchestrator import GraphInvalid
from bloge_orchestrator.dsl import parse_graph
from bloge_orchestrator.dsl.language import language
from bloge_orchestrator.dsl.scanner import scan
from bloge_orchestrator.dsl.source import SourceText
from bloge_orchestrator.formatting import WIDTH, format_source
from support.graph_texts import EVERYTHING

LOOSE = '''// license
/* x */

import   "./a"   as b  // the lib
/// A graph.
graph g {   // opening
  input{batch:String parts:[Part]?}


  node a:x.Op{
    // why
    input { branch = (1), foreach =2 } output : S?
    timeout=5m /* five */ retry = {attempts:3,   // three
      backoff: 2s } fallback = [1, /* two */ 2]
    // dangling
  }
  node b : Op { timeout = 1s } branch   mode = inclusive  on a.output.x??true{ true->b

    // second
    "x"->[c,d,]  a -> e  otherwise -> c }
  foreach loop:(item,i) in a.output.items   sequential{ max_concurrency=5 node b:subgraph("x"){} }
  /**
      * Doc
        * more
   */
  transform t {
     let a=x
     y:Int?=f(a,(x,y)->x?1:2,z-> -1)
     c = {
       a: 1, "b": """raw
   string""" }
  }
  // end of graph
}
// last'''

SET = '''// license
/* x */

import "./a" as b // the lib

/// A graph.
graph g { // opening
  input { batch: String, parts: [Part]? }

  node a : x.Op {
    // why
    input { branch = (1), foreach = 2 }
    output : S?
    timeout = 5m /* five */
    retry = {
      attempts: 3, // three
      backoff: 2s
    }
    fallback = [1, /* two */ 2]
    // dangling
  }
  node b : Op { timeout = 1s }
  branch mode=inclusive on a.output.x ?? true {
    true -> b

    // second
    "x" -> [c, d]
    a -> e
    otherwise -> c
  }
  foreach loop : (item, i) in a.output.items sequential { max_concurrency = 5, node b : subgraph("x") {} }
  /**
   * Doc
   * more
   */
  transform t {
    let a = x
    y: Int? = f(a, (x, y) -> x ? 1 : 2, z -> -1)
    c = {
      a: 1,
      "b": """raw
   string"""
    }
  }
  // end of graph
}
// last
'''


def test_a_text_is_set_in_one_form() -> None:
    """Indentation, blanks, commas and empty lines; comments, strings and parentheses stay."""
    assert format_source(LOOSE) == SET
    assert format_source(SET) == SET


def value(text: str) -> str:
    """Format a value of a transform; gives its lines."""
    formatted = format_source(f"graph g {{ transform t {{\nx = {text}\n}} }}")
    return formatted.removeprefix("graph g {\n  transform t {\n    x = ").removesuffix("\n  }\n}\n")


@pytest.mark.parametrize(
    ("written", "formatted"),
    [
        ("a  .b ?. c", "a.b?.c"),
        ("a[ 0 ]?[ 1 ]", "a[0]?[1]"),
        ("! a", "!a"),
        ("- ( a )", "-(a)"),
        ("a+b*c", "a + b * c"),
        ("f( )", "f()"),
        ("[ ]", "[]"),
        ("{ }", "{}"),
        ("[1,2,]", "[1, 2]"),
        ("{a:1 b:2}", "{ a: 1, b: 2 }"),
        ("x ?y:z", "x ? y : z"),
        ("when{a->1}", "when { a -> 1 }"),
        ("f(x->x, ( a,b ) ->a)", "f(x -> x, (a, b) -> a)"),
        ("1.50", "1.50"),
        ("60s", "60s"),
        ("'\\u0041 ${ a+b }'".replace("'", '"'), '"\\u0041 ${ a+b }"'),
        ("[\n1, 2]", "[\n      1,\n      2\n    ]"),
        ("[1,\n2]", "[1, 2]"),
        ("f(\na)", "f(\n      a\n    )"),
        ("[1, // one\n2]", "[\n      1, // one\n      2\n    ]"),
        ("[\n// none\n]", "[\n      // none\n    ]"),
        ("a // why\n+ b", "a + b // why"),
        ("a\n// why\n+ b", "a + b // why"),
        ("a /* why */ + b", "a /* why */ + b"),
    ],
)
def test_how_values_are_set(written: str, formatted: str) -> None:
    """One blank where one belongs, none elsewhere; what is broken behind its bracket stays broken."""
    assert value(written) == formatted
    assert value(formatted) == formatted


@pytest.mark.parametrize(
    "written",
    [
        f"[{', '.join(['item'] * 40)}]",
        " && ".join(["something.rather.long"] * 8),
        f"{'condition' * 5} ? {'a' * 50} : {'b' * 50}",
        f"map({'list' * 15}, item -> {{ first: {'x' * 40}, second: {'y' * 40} }})",
        f"when subject {{ {', '.join(f'{n} -> {n * 1000}' for n in range(20))} }}",
    ],
)
def test_what_is_too_long_is_broken(written: str) -> None:
    """All of a bracket's contents, or all operands of a chain, each on its own line."""
    formatted = value(written)
    assert "\n" in formatted
    assert max(map(len, formatted.splitlines())) <= WIDTH
    assert value(formatted) == formatted


def test_what_does_not_parse_is_not_touched() -> None:
    """The findings say why."""
    with pytest.raises(GraphInvalid, match=r"g\.bloge:1:12: error\[syntax-error\]"):
        format_source("graph g {} }", filename="g.bloge")


def test_a_text_that_breaks_rules_is_formatted_all_the_same() -> None:
    """People format while they write."""
    assert format_source("graph g { node a:Op{timeout=5} }") == "graph g {\n  node a : Op { timeout = 5 }\n}\n"


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [("(", ")", 140), ("[", "]", 110), ("{ a: ", "}", 55), ("f(", ")", 110), ("!", "", 110), ("x ? 1 : ", "", 110)],
)
def test_what_is_nested_as_deep_as_it_may_be_is_formatted(opening: str, closing: str, levels: int) -> None:
    """Without running out of anything."""
    formatted = value(f"{opening * levels}y{closing * levels}")
    assert value(formatted) == formatted


def test_parentheses_that_are_nested_too_deep_to_be_kept_are_refused() -> None:
    """They mean nothing, and could be left out."""
    with pytest.raises(GraphInvalid, match="nested deeper than 150 levels"):
        value("(" * 2000 + "y" + ")" * 2000)


TOUCHING = ("CALL", "INDEX", "SAFE_INDEX", "DOT", "SAFE_DOT")
BLANKS = ("", " ", "  ", "\n", "\n\n\n", "\t", "\r\n")
COMMENTS = ("// c\n", "/* c */", "/* c\n  d */", "/** e\n   * f */", "/// g\n", "\n// h\n\n", " // i\n// j\n")


def loosened(text: str, random: Random) -> str:
    """Write a text with other blanks, commas and comments between the same words."""
    code = scan(SourceText(text)).code
    tree = language(keep_all_tokens=True).parse(code, start="file")
    tokens = sorted(tree.scan_values(lambda each: hasattr(each, "type")), key=lambda each: each.start_pos or 0)
    pieces: list[str] = []
    for token in tokens:
        if token.type not in TOUCHING:
            pieces += ["\n" if random.random() < 0.05 else " ", random.choice(BLANKS)]
            if random.random() < 0.1:
                pieces += [random.choice(COMMENTS), " "]
        pieces.append(str(token))
    return "".join(pieces)


def meaning(text: str) -> str:
    """Return all that a text says, places left out."""
    parsed = parse_graph(text)
    assert parsed.problems == ()
    shown = repr(parsed.graph)
    return "".join(part.split(")", 1)[1] if number else part for number, part in enumerate(shown.split("Place(")))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_whatever_is_written_its_form_is_one_and_says_the_same(seed: int) -> None:
    """Formatting twice is formatting once; words, strings and comments are all there, and mean what they meant."""
    text = loosened(EVERYTHING, Random(seed))
    formatted = format_source(text)
    assert format_source(formatted) == formatted
    assert without_docs(meaning(formatted)) == without_docs(meaning(text))
    assert "\r" not in formatted
    assert not any(line != line.rstrip() for line in formatted.splitlines())


def without_docs(shown: str) -> str:
    """Leave doc comments out: which words a comment between others belongs to is a matter of taste."""
    return "".join(part.split(", ", 1)[-1] if number else part for number, part in enumerate(shown.split("doc=")))
