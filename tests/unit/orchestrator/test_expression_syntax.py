"""How expressions are read and written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloge_orchestrator import GraphInvalid
from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.durations import DURATION_MAX, from_milliseconds, to_milliseconds
from bloge_orchestrator.expressions import (
    Array,
    Binary,
    Call,
    Conditional,
    Duration,
    Expression,
    Index,
    Lambda,
    Literal,
    Member,
    Object,
    Reference,
    Template,
    Unary,
    When,
)
from bloge_orchestrator.expressions.formatter import format_expression
from bloge_orchestrator.expressions.references import calls, free_references


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1+2*3", "1 + 2 * 3"),
        ("(1+2)*3", "(1 + 2) * 3"),
        ("1-(2-3)", "1 - (2 - 3)"),
        ("(1-2)-3", "1 - 2 - 3"),
        ("a||b&&c==d<e+f*-g", "a || b && c == d < e + f * -g"),
        ("((a||b)&&c)==d", "((a || b) && c) == d"),
        ("a ?? b || c", "a ?? b || c"),
        ("(a ?? b) || c", "(a ?? b) || c"),
        ("a ? b : c ? d : e", "a ? b : c ? d : e"),
        ("(a ? b : c) ? d : e", "(a ? b : c) ? d : e"),
        ("!(a && b)", "!(a && b)"),
        ("!!a", "!!a"),
        ("- 5", "-5"),
        ("-(x)", "-x"),
        ("-(1+2)", "-(1 + 2)"),
        ('a.b?.c[0]?[-1]["k"]', 'a.b?.c[0]?[-1]["k"]'),
        ("(a + b).c", "(a + b).c"),
        ("({a: 1}).a", "({a: 1}).a"),
        ("[1,2,]", "[1, 2]"),
        ("{ a: 1  \"b c\": 2, 'x': 3 }".replace("'", '"'), '{a: 1, "b c": 2, x: 3}'),
        ("f(x -> x + 1, (a, b) -> a)", "f((x) -> x + 1, (a, b) -> a)"),
        ("when x { 1 -> 2  3 -> 4  otherwise -> 5 }", "when x { 1 -> 2, 3 -> 4, otherwise -> 5 }"),
        ("when { a -> b (c) -> d }", "when { a -> b, c -> d }"),
        ("when { a -> -1, -1 -> d }", "when { a -> -1, -1 -> d }"),
        ('"a ${ b + "c" } \\${d}"', '"a ${b + "c"} \\${d}"'),
        ('"${ {a: {b: "}"}}.a }"'.replace('{a: {b: "}"}}.a', 'f({a: {b: "}"}})'), '"${f({a: {b: "}"}})}"'),
        ('"""raw ${x} \\n "quoted" """', '"raw \\${x} \\\\n \\"quoted\\" "'),
        ('"\\u00e9\\ud83d\\ude00"', '"é😀"'),
        ("500ms + 2s", "500ms + 2s"),
        ("1.50e1", "15.0"),
        ("x ? [1] : [2]", "x ? [1] : [2]"),
        ("trueish == nullable", "trueish == nullable"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    """Precedence, associativity and every form; the canonical text means the same."""
    expression = parse_expression(text)
    assert format_expression(expression) == canonical
    assert parse_expression(canonical) == expression


def test_places_count_from_one_also_inside_strings() -> None:
    """An error in a `${}` part is reported where the part stands."""
    template = parse_expression('"ab ${ctx.x}"')
    assert isinstance(template, Template)
    member = template.parts[1]
    assert isinstance(member, Member)
    assert (member.line, member.column) == (1, 7)


@pytest.mark.parametrize(
    "text", ["", "1 2", "a b", "f (x)", "x -> x", "(a, b)", "when {} {}", "{ a }", '"${}"', '"${"', "a..b"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """With findings, never with another error."""
    with pytest.raises(GraphInvalid):
        parse_expression(text)


def test_equality_tells_types_apart_and_ignores_places() -> None:
    """1, 1.0 and true are three literals; the same text in two places is one expression."""
    assert len({Literal(1), Literal(1.0), Literal(value=True), Literal("1")}) == 4
    assert parse_expression("  a") == parse_expression("a")


def test_free_references_leave_out_lambda_parameters() -> None:
    """Only what the lambda does not bind comes from outside."""
    expression = parse_expression('map(load.items, x -> x + y + f(z, (x, q) -> q)) + "${w} ${x}"')
    assert [reference.name for reference in free_references(expression)] == ["load", "y", "z", "w", "x"]


def test_calls_are_found_at_every_depth() -> None:
    """In lambdas, templates, arms and indexes."""
    expression = parse_expression('a(x -> b(x)) + "${c()}" + when d() { e() -> f() otherwise -> [g()][h()] }')
    assert [call.function for call in calls(expression)] == list("abcdefgh")


NAMES = st.sampled_from(["a", "b_2", "ctx", "node", "whenever", "Z"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
).map(Literal)
DURATIONS = st.integers(0, to_milliseconds(DURATION_MAX)).map(lambda amount: Duration(from_milliseconds(amount)))
OPERATORS = st.sampled_from(["??", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"])


def unary(operator: str, operand: Expression) -> Expression:
    """Make a unary the parser makes: it folds a minus into a number."""
    is_number = isinstance(operand, Literal) and isinstance(operand.value, int | float)
    return Unary("!", operand) if is_number else Unary(operator, operand)


def compound(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    lambdas = st.builds(Lambda, st.lists(NAMES, min_size=1, max_size=3).map(tuple), inner)
    return st.one_of(
        st.lists(inner, max_size=3).map(lambda items: Array(tuple(items))),
        st.lists(st.tuples(TEXTS | NAMES, inner), max_size=3).map(lambda entries: Object(tuple(entries))),
        st.builds(Member, inner, NAMES, st.booleans()),
        st.builds(Index, inner, inner, st.booleans()),
        st.builds(unary, st.sampled_from("!-"), inner),
        st.builds(Binary, OPERATORS, inner, inner),
        st.builds(Conditional, inner, inner, inner),
        st.builds(When, st.none() | inner, st.lists(st.tuples(inner, inner), max_size=2).map(tuple), st.none() | inner),
        st.builds(Call, NAMES, st.lists(inner | lambdas, max_size=3).map(tuple)),
    )


EXPRESSIONS = st.recursive(LITERALS | DURATIONS | NAMES.map(Reference), compound, max_leaves=8)


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS)
def test_writing_and_reading_are_inverse(expression: Expression) -> None:
    """A recorded graph gives back the very expressions it was made from."""
    assert parse_expression(format_expression(expression)) == expression
