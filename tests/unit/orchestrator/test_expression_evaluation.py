"""What expressions mean."""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from bloge_orchestrator.dsl import parse_expression
from bloge_orchestrator.expressions import Call
from bloge_orchestrator.expressions.context import EvaluationContext
from bloge_orchestrator.expressions.evaluator import ExpressionError, evaluate
from bloge_orchestrator.expressions.functions import FUNCTIONS

CONTEXT = EvaluationContext(
    input={"n": None, "s": "text", "list": [1, 2, {"b": "x"}], "o": {"a": {"b": 5}, "size": "own"}, "t": True},
    outputs={"load": {"items": [3, 1, 2], "output": 9}, "nothing": None},
    locals={"local": 7, "load2": 1},
    clock=lambda: datetime(2030, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    uuid_source=lambda: UUID(int=1),
    secrets={"token": "s3cret"},
)


def value(text: str, context: EvaluationContext = CONTEXT) -> Any:
    return evaluate(parse_expression(text), context)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctx.o.a.b", 5),
        ("ctx.missing", None),
        ("ctx.n?.deep", None),
        ("ctx.n?.a ?? 1", 1),
        ("load.output.items", [3, 1, 2]),
        ("load.items", [3, 1, 2]),
        ("load.output.output", 9),
        ("nothing", None),
        ("nothing?.x", None),
        ("local + load2", 8),
        ("ctx.list[0]", 1),
        ("ctx.list[-1].b", "x"),
        ("ctx.list?[9]", None),
        ("ctx.n?[0]", None),
        ('ctx.o["a"].b', 5),
        ("ctx.list.size + ctx.s.length", 7),
        ("size(ctx.list)", 3),
        ("ctx.o.size", "own"),
    ],
)
def test_paths(text: str, expected: Any) -> None:
    """Inputs, outputs in the long and the short form, locals, safe navigation and indexes."""
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("7 / 2", 3.5),
        ("6 / 2", 3),
        ("-7 % 3", -1),
        ("7.5 % 2", 1.5),
        ('"a" + 1 + null', "a1"),
        ("[1] + [2]", [1, 2]),
        ("1 == 1.0", True),
        ("1 == true", False),
        ('1 == "1"', False),
        ("{a: [1]} == {a: [1.0]}", True),
        ("{a: [1]} != {a: [true]}", True),
        ('"a" < "b"', True),
        ("2 >= 2.0", True),
        ("false && ctx.n.boom", False),
        ("true || ctx.n.boom", True),
        ("1 ?? ctx.n.boom", 1),
        ("false ?? true", False),
        ("!ctx.t", False),
        ("ctx.t ? 1 : ctx.n.boom", 1),
        ('when ctx.s { "x" -> 1  "text" -> 2  otherwise -> 3 }', 2),
        ("when ctx.s { 1 -> 1 otherwise -> 3 }", 3),
        ("when { 1 > 2 -> 1  2 > 1 -> 2 }", 2),
        ('"n=${ctx.n} l=${ctx.list} t=${ctx.t} f=${1.5}"', 'n= l=[1,2,{"b":"x"}] t=true f=1.5'),
        ("5m / 1s", 300),
        ("{a: 1, a: 2}", {"a": 2}),
    ],
)
def test_operators(text: str, expected: Any) -> None:
    """Arithmetic, equality by JSON type, lazy logic, branches and templates."""
    result = value(text)
    assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("map(load.items, x -> x * 2)", [6, 2, 4]),
        ("map(load.items, (x, i) -> i)", [0, 1, 2]),
        ("filter(load.items, x -> x > 1)", [3, 2]),
        ("reduce(load.items, 0, (sum, x) -> sum + x)", 6),
        ("any(load.items, x -> x == 3) && !all(load.items, x -> x == 3) && none(load.items, x -> x > 3)", True),
        ("find(load.items, x -> x < 3)", 1),
        ("find(load.items, x -> x > 3)", None),
        ("sortBy(load.items, x -> -x)", [3, 2, 1]),
        ('groupBy(load.items, x -> x > 1 ? "big" : "small")', {"big": [3, 2], "small": [1]}),
        ("keyBy([{id: 1}], x -> x.id)", {"1": {"id": 1}}),
        ("flatMap(load.items, x -> x > 1 ? [x, x] : x)", [3, 3, 1, 2, 2]),
        ("count(load.items) + count(load.items, x -> x > 1)", 5),
        ("sumBy(load.items, x -> x)", 6),
        ("mapValues({a: 1}, (v, k) -> k + v)", {"a": "a1"}),
        ("map([1, 2], x -> map([10], y -> x + y))", [[11], [12]]),
        ("first(load.items) + last(load.items)", 5),
        ("[first([]), last([])]", [None, None]),
        ("take(load.items, 2) + drop(load.items, 2) + slice(load.items, 0, 1)", [3, 1, 2, 3]),
        ("concat([1], [2], []) + append([3], 4)", [1, 2, 3, 4]),
        ("distinct([1, 1.0, true, {a: 1}, {a: 1}])", [1, True, {"a": 1}]),
        ("flatten([[1], 2, [[3]]])", [1, 2, [3]]),
        ("sort(load.items) + reverse(load.items)", [1, 2, 3, 2, 1, 3]),
        ("range(3) + range(5, 7)", [0, 1, 2, 5, 6]),
        ("zip([1, 2], [3])", [[1, 3]]),
        ("chunk([1, 2, 3], 2)", [[1, 2], [3]]),
        ("keys({a: 1}) + values({a: 1})", ["a", 1]),
        ("fromEntries(entries({a: 1}))", {"a": 1}),
        ("merge({a: 1}, {a: 2, b: 3})", {"a": 2, "b": 3}),
        ('[has({a: null}, "a"), get({}, "a"), get({}, "a", 1)]', [True, None, 1]),
        ('merge(pick({a: 1, b: 2}, ["a"]), omit({c: 3, d: 4}, ["c"]))', {"a": 1, "d": 4}),
        ('[isEmpty([]), isEmpty(null), isEmpty(""), isEmpty({a: 1})]', [True, True, True, False]),
        ('[contains([1], 1.0), contains("abc", "b"), contains({k: 1}, "k")]', [True, True, True]),
        ('indexOf([1, 2], 2) + indexOf("abc", "z")', 0),
    ],
)
def test_collection_functions(text: str, expected: Any) -> None:
    """With and without lambdas; arguments are never changed."""
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('upper("a") + lower("B") + trim(" c ") + capitalize("dé")', "AbcDé"),
        ('[startsWith("abc", "a"), endsWith("abc", "a")]', [True, False]),
        ('substring("abcd", 1, 3) + substring("abcd", 3)', "bcd"),
        ('replace("a.b.c", ".", "-")', "a-b-c"),
        ('split("a,b", ",") + split("xy", "")', ["a", "b", "x", "y"]),
        ('join([1, null, "x"]) + join([1, 2], "-")', "1,,x1-2"),
        ('repeat("ab", 2) + repeat("x", -1)', "abab"),
        ('padStart("7", 3, "0") + padEnd("7", 3, "ab")', "0077ab"),
        ("[abs(-1), sign(-2), floor(1.7), ceil(1.2), sqrt(4)]", [1, -1, 1, 2, 2.0]),
        ("[round(2.5), round(-2.5), round(1.005, 2), round(7)]", [3, -3, 1.01, 7]),
        ("[pow(2, 10), pow(2, -1), clamp(9, 0, 5)]", [1024, 0.5, 5]),
        ("[min(3, 1), max([1, 4]), min([]), sum([1, 2.5]), avg([1, 2]), avg([])]", [1, 4, None, 3.5, 1.5, None]),
        ("[coalesce(null, null, 1), default(null, 2), isNull(null), isNotNull(null)]", [1, 2, True, False]),
        (
            '[typeOf(null), typeOf(1), typeOf("s"), typeOf(true), typeOf([]), typeOf({})]',
            ["null", "number", "string", "boolean", "list", "object"],
        ),
        (
            '[isString("a"), isNumber(true), isBoolean(true), isList({}), isObject({})]',
            [True, False, True, False, True],
        ),
        (
            '[toString([1]), toNumber("1.5"), toNumber(" 7 "), toInt("-1.9"), toBoolean("true")]',
            ["[1]", 1.5, 7, -1, True],
        ),
        ("now()", "2030-01-02T03:04:05.678Z"),
        ("dateAdd(now(), 1d)", "2030-01-03T03:04:05.678Z"),
        ('dateDiff("2030-01-02", "2030-01-01T00:00:00Z") == 1d', True),
        ('fromMillis(toMillis("2030-01-01T01:00:00+01:00"))', "2030-01-01T00:00:00.000Z"),
        ('formatDate(now(), "dd.MM.yyyy HH:mm:ss,SSS")', "02.01.2030 03:04:05,678"),
        ('parseJson(toJson({a: [1, null, "é"]}))', {"a": [1, None, "é"]}),
        (
            '[sha256(""), base64Decode(base64Encode("é"))]',
            ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "é"],
        ),
        (
            'hmacSha256("key", "The quick brown fox jumps over the lazy dog")',
            "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        ),
        ('size(sha512("x"))', 128),
        ("uuid()", "00000000-0000-0000-0000-000000000001"),
        ('secret("token")', "s3cret"),
    ],
)
def test_other_functions(text: str, expected: Any) -> None:
    """Strings, math, null, types, dates, JSON, digests and what the context injects."""
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("ctx.n.b", 1, "cannot read `b` of null; write `?.b` if null is expected"),
        ("1 + ctx.s.b", 5, "cannot read `b` of a string"),
        ("ctx.list[9]", 1, "index 9 is out of range, the list has 3 items"),
        ('ctx.list["a"]', 1, "cannot index a list with a string"),
        ("ctx.n[0]", 1, "cannot index null"),
        ("unknown", 1, "`unknown` has no value here"),
        ("1 + true", 1, "`+` needs numbers, strings or lists, got a number and a boolean"),
        ('2 * "3"', 1, "`*` needs two numbers, got a number and a string"),
        ("1 < null", 1, "`<` needs two numbers or two strings, got a number and null"),
        ("1 / 0", 1, "`/` by zero"),
        ("1 % 0.0", 1, "`%` by zero"),
        ("-true", 1, "`-` needs a number, got a boolean"),
        ("1 ? 2 : 3", 1, "`? :` needs a boolean, got a number"),
        ("true && ctx.n", 1, "`&&` needs a boolean, got null; write `?? false` if null is expected"),
        ("when 1 { 2 -> 3 }", 1, "no arm of this `when` fits"),
        ("map(ctx.list, 1)", 1, "map: argument 2 must be a lambda"),
        ("[map(1, x -> x)]", 2, "map: argument 1 must be a list, got a number"),
        ("upper()", 1, "upper takes 1 argument, got 0"),
        ("substring(1, 2, 3, 4)", 1, "substring takes 2 to 3 arguments, got 4"),
        ("nope(1)", 1, "there is no function nope"),
        ("filter([1], x -> x)", 1, "filter: the lambda must give a boolean, got a number"),
        ('sort([1, "a"])', 1, "sort: the items must be all numbers or all strings"),
        ("sortBy([1, null], x -> x)", 1, "sortBy: the lambda must give all numbers or all strings"),
        ('toNumber("1e999")', 1, "makes inf, which is not a JSON number"),
        ('toNumber("x")', 1, 'toNumber: "x" is not a number'),
        ('parseJson("{")', 1, "parseJson: the text is not JSON"),
        ('parseJson("NaN")', 1, "makes nan, which is not a JSON number"),
        ('dateAdd("x", 1)', 1, 'dateAdd: "x" is not an ISO 8601 date'),
        ('dateAdd("2030-01-01", 9223372036854775807)', 1, "dateAdd: the date is out of range"),
        ("sqrt(-1)", 1, "sqrt: a negative number has no square root"),
        ("pow(10, 400)", 1, "pow: 10 to the power of 400 is not a number"),
        ("round(1.5, 99)", 1, "round: digits must be from 0 to 10, got 99"),
        ('base64Decode("?")', 1, "base64Decode"),
        ('secret("other")', 1, "secret other is not defined"),
        ('"ab ${ctx.n.b}"', 7, "cannot read `b` of null"),
        ("1e308 * 10", 1, "makes inf, which is not a JSON number"),
        ("9223372036854775807 + 1", 1, "an integer of more than 64 bits"),
    ],
)
def test_an_error_names_the_cause_and_the_place(text: str, column: int, message: str) -> None:
    """One typed error, whatever goes wrong."""
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize("text", ["now()", "uuid()", 'secret("token")'])
def test_impure_functions_need_their_source(text: str) -> None:
    """Without an injected source there is no hidden one."""
    with pytest.raises(ExpressionError, match="is not available here"):
        value(text, EvaluationContext())


KINDS = parse_expression('f(null, true, -1, 2.5, "a", [], [1, "b", {}], {a: null}, (x, y) -> x)')


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_takes_or_refuses_every_kind_of_argument(name: str) -> None:
    """One or two of each: a value, or the typed error."""
    assert isinstance(KINDS, Call)
    for arguments in [*product(KINDS.arguments), *product(KINDS.arguments, KINDS.arguments)]:
        with suppress(ExpressionError):
            evaluate(Call(name, arguments), CONTEXT)
