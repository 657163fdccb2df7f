"""Every rule of the language, with the place it names."""

import pytest

from bloge_orchestrator import Diagnostic, GraphInvalid, OperatorRegistry, Severity, Stage, check_source, compile_source
from bloge_orchestrator.lowering.problems import PROBLEMS_MAX


def errors(body: str, registry: OperatorRegistry | None = None) -> list[Diagnostic]:
    """Check a graph whose members start in line 2."""
    found = check_source(f"graph g {{\n{body}\n}}", registry=registry)
    return [diagnostic for diagnostic in found if diagnostic.severity is Severity.ERROR]


def node(entries: str) -> str:
    """Write a node `a`; its entries start in column 15."""
    return f"node a : Op {{ {entries} }}"


COMPILE_RULES = [
    ("execution_mode = remote", "remote-needs-topic", 15, "execution_mode", "add `worker_topic"),
    ('worker_topic = "t"', "topic-needs-remote", 15, "worker_topic", "add `execution_mode = remote`"),
    ("execution_mode = local", "unknown-execution-mode", 32, "execution_mode", "must be remote, got local"),
    ('execution_mode = "remote"', "unknown-execution-mode", 32, "execution_mode", "must be remote, got a string"),
    ('execution_mode = remote worker_topic = "a b"', "invalid-topic-name", 54, "worker_topic", '"a b" cannot name'),
    ('execution_mode = remote worker_topic = ""', "invalid-topic-name", 54, "worker_topic", "cannot name"),
    ("execution_mode = remote worker_topic = gpu", "wrong-type", 54, "worker_topic", "got the name gpu"),
    ("depends_on = [b]", "unknown-dependency", 29, "depends_on", "depends on `b`, which is not in the graph"),
    ("input { x = 1 + b.output.y }", "unknown-dependency", 31, "input.x", "depends on `b`"),
    ('input { x = "${b}" }', "unknown-dependency", 30, "input.x", "depends on `b`"),
    ("timout = 5m", "unknown-field", 15, "timout", "did you mean `timeout`?"),
    ("inputs { x = 1 }", "unknown-field", 15, "inputs", "did you mean `input`?"),
    ("other : Op { x = 1 }", "unknown-field", 15, "other", "`other : ...` is not a part of a node"),
    ("input = { x: 1 }", "wrong-type", 15, "input", "write `input { ... }`"),
    ("retry { attempts = 1 }", "wrong-type", 15, "retry", "write `retry = ...`"),
    ('timeout = "5"', "wrong-type", 25, "timeout", "must be a duration such as 30s or 5m, got a string"),
    ("timeout = 5", "wrong-type", 25, "timeout", "got 5"),
    ("timeout = 0s", "out-of-range", 25, "timeout", "must be more than zero, got 0s"),
    ("retry = 3", "wrong-type", 23, "retry", "must be an object"),
    ("retry = { backoff: 1s }", "missing-field", 15, "retry", "needs `attempts`"),
    ("retry = { attempts: -1 }", "out-of-range", 35, "retry.attempts", "must be from 0 to 1000, got -1"),
    ("retry = { attempts: 1001 }", "out-of-range", 35, "retry.attempts", "must be from 0 to 1000, got 1001"),
    ("retry = { attempts: 1.5 }", "wrong-type", 35, "retry.attempts", "must be an integer, got 1.5"),
    ("retry = { attempts: true }", "wrong-type", 35, "retry.attempts", "must be an integer, got true"),
    ("retry = { attempts: 1, backof: 1s }", "unknown-field", 38, "retry.backof", "did you mean `backoff`?"),
    ("retry = { attempts: 1, backoff: 2 }", "wrong-type", 47, "retry.backoff", "must be a duration"),
    ("retry = { attempts: 1, max_backoff: 1s, backoff: 2s }", "out-of-range", 51, "retry.max_backoff", "not be less"),
    ("retry = { attempts: 1, strategy: expo }", "wrong-type", 48, "retry.strategy", "fixed, exponential or jitter"),
    ("retry = { attempts: 1, non_retryable: X }", "wrong-type", 53, "retry.non_retryable", "a list of strings"),
    ("fallback = { x: [ctx.y] }", "wrong-type", 32, "fallback", "must be a literal"),
    ("on_dead_letter = wait", "wrong-type", 32, "on_dead_letter", "keep_suspended or resume_with_failure"),
    ("scope = mine", "wrong-type", 23, "scope", "isolated or parent"),
    ("depends_on = b", "wrong-type", 28, "depends_on", "must be a list of node ids"),
    ('depends_on = ["b"]', "wrong-type", 28, "depends_on", "must be a list of node ids"),
    ("input { x = fooo(1) }", "unknown-function", 27, "input.x", "there is no function fooo"),
    ("input { x = [upper()] }", "wrong-argument", 28, "input.x", "upper takes 1 argument, got 0"),
    ("input { x = map([], 1) }", "wrong-argument", 27, "input.x", "must be a lambda"),
    ("input { x = upper(y -> y) }", "wrong-argument", 27, "input.x", "must be a string, got a lambda"),
]


@pytest.mark.parametrize(("entries", "code", "column", "field", "message"), COMPILE_RULES)
def test_rules_of_a_node(entries: str, code: str, column: int, field: str, message: str) -> None:
    """One error each, at the setting or value that breaks the rule."""
    (error,) = errors(node(entries))
    assert (error.stage, error.code, error.line, error.column) == (Stage.COMPILE, code, 2, column)
    assert (error.node, error.field) == ("a", field)
    assert message in error.message


@pytest.mark.parametrize(
    ("body", "code", "line", "column", "message"),
    [
        ("", "empty-graph", 1, 7, "graph g has no node"),
        ("schema S { a: Int }", "empty-graph", 1, 7, "graph g has no node"),
        ("node a : Op {}\n transform a { x = 1 }", "duplicate-id", 3, 12, "declared in line 2 too"),
        ("node a : Op { timeout = 1s timeout = 2s }", "duplicate-field", 2, 28, "`timeout` is given twice"),
        ("node a : Op { retry = { attempts: 1, attempts: 2 } }", "duplicate-field", 2, 38, "`retry.attempts`"),
        ("node a : Op { input { x = 1 x = 2 } }", "duplicate-field", 2, 29, "`input.x` is given twice"),
        ("node a : Op { input { x = 1 } input {} }", "duplicate-field", 2, 31, "`input` is given twice"),
        ("transform t { x = 1 x = 2 }", "duplicate-field", 2, 21, "`x` is given twice"),
        ("node a : Op {}\ninput { x: Int x: Int }", "duplicate-field", 3, 16, "`x` is declared twice"),
        ("node a : Op {}\ninput {} input {}", "duplicate-field", 3, 10, "`input` is declared twice"),
        ("node a : Op {}\nschema S {} schema S {}", "duplicate-id", 3, 20, "schema id `S` is taken"),
        ("node a : Op { depends_on = [a] }", "cycle", 2, 6, "in a circle: a -> a"),
        (
            "node a : Op { depends_on = [c] }\nnode b : Op { input { x = a.y } }\ntransform c { x = b.output }",
            "cycle",
            2,
            6,
            "in a circle: a -> b -> c -> a",
        ),
    ],
)
def test_rules_between_members(body: str, code: str, line: int, column: int, message: str) -> None:
    """Duplicates, cycles and emptiness are found by lint."""
    (error,) = errors(body)
    assert (error.stage, error.code, error.line, error.column) == (Stage.LINT, code, line, column)
    assert message in error.message


def test_every_circle_is_reported() -> None:
    """Each on its own, from its first declared node on."""
    found = errors("node a : O { depends_on = [b] }\nnode b : O { depends_on = [a] }\nnode c : O { depends_on = [c] }")
    assert [(error.code, error.line, error.message.split(": ")[1]) for error in found] == [
        ("cycle", 2, "a -> b -> a"),
        ("cycle", 4, "c -> c"),
    ]


@pytest.mark.parametrize("function", ["now()", "uuid()", 'secret("x")'])
@pytest.mark.parametrize("place", ["x = ", "let y = "])
def test_a_transform_calls_nothing_impure(function: str, place: str) -> None:
    """Neither in a field nor in a local, at any depth; a node's input may."""
    (error,) = errors(f"transform t {{ {place}[{function}] z = 1 }}")
    assert (error.code, error.line, error.column) == ("forbidden-in-transform", 2, 15 + len(place) + 1)
    assert errors(node(f"input {{ x = {function} }}")) == []


def test_a_local_sees_those_before_it() -> None:
    """And a field sees them all, but fields do not see each other."""
    (error,) = errors("transform t { let a = b let b = 1 let c = b x = a + c }")
    assert (error.code, error.field, error.column) == ("unknown-dependency", "a", 23)
    (error,) = errors("transform t { x = 1 y = x }")
    assert (error.code, error.field, error.column) == ("unknown-dependency", "y", 25)


def test_a_subgraph_cannot_be_remote() -> None:
    """The rule is named even if the graph cannot be found either."""
    found = errors('node a : subgraph("s") { execution_mode = remote worker_topic = "t" }')
    assert [(error.code, error.line, error.column) for error in found] == [
        ("unknown-subgraph", 2, 10),
        ("subgraph-remote", 2, 26),
    ]


def test_a_compensation_is_refused_by_name() -> None:
    """It belongs to sagas."""
    (error,) = errors("node a : Op { compensate : Undo { input { x = 1 } } }")
    assert (error.code, error.line, error.column) == ("outside-project", 2, 15)


def test_ctx_is_no_id() -> None:
    """The name of the execution's input is taken."""
    (error,) = errors("node ctx : Op {}")
    assert (error.code, error.line, error.column) == ("reserved-id", 2, 6)


def test_an_id_has_a_longest_length() -> None:
    """It must fit into the names of the store."""
    assert errors(f"node {'a' * 128} : Op {{}}") == []
    assert [error.code for error in errors(f"node {'a' * 129} : Op {{}}")] == ["invalid-id"]


def test_unknown_operators_are_looked_up_for_local_nodes_only(registry: OperatorRegistry) -> None:
    """A remote node's operator lives with the workers; a transform has none."""
    remote = 'node a : Missing { execution_mode = remote worker_topic = "t" }\ntransform t { x = 1 }'
    assert errors(remote, registry) == []
    (error,) = errors("node a : Loed { timeout = 1s }", registry)
    assert (error.code, error.line, error.column, error.node) == ("unknown-operator", 2, 10, "a")
    assert error.message == "operator Loed is not registered; did you mean `Load`?"


@pytest.mark.parametrize(
    ("body", "code", "column", "message"),
    [
        ("node a : Op {}", "missing-timeout", 6, "it would run for ever"),
        ('node a : Op { execution_mode = remote worker_topic = "t" }', "missing-timeout", 6, "it would wait for ever"),
        ("node a : Op { timeout = 1s on_dead_letter = keep_suspended }", "unused-field", 28, "remote node only"),
        ("node a : Op { timeout = 1s scope = parent }", "unused-field", 28, "sub-graph only"),
        ("transform t { x: Strin = 1 }", "unknown-type", 18, "did you mean `String`?"),
    ],
)
def test_warnings_do_not_stop_a_graph(
    body: str, code: str, column: int, message: str, registry: OperatorRegistry
) -> None:
    """They come with the compiled graph."""
    (warning,) = compile_source(f"graph g {{\n{body}\n}}", filename="g.bloge", registry=registry).diagnostics
    assert (warning.severity, warning.code, warning.line, warning.column) == (Severity.WARNING, code, 2, column)
    assert message in warning.message


def test_a_transform_needs_no_timeout() -> None:
    """It runs nothing."""
    assert check_source("graph g { transform t { x = 1 } }") == ()


def test_all_problems_come_in_one_pass_in_the_order_of_the_source(registry: OperatorRegistry) -> None:
    """Of every stage, warnings too, and from both of two nodes with the same id."""
    text = """graph g {
  node a : Missing { timeout = "5" }
  node b : Op { execution_mode = remote }
  node a : Op { worker_topic = "t" timeout = 1s }
  transform t { x = now() }
}"""
    with pytest.raises(GraphInvalid) as caught:
        compile_source(text, filename="g.bloge", registry=registry)
    assert [(found.code, found.line) for found in caught.value.diagnostics] == [
        ("unknown-operator", 2),
        ("wrong-type", 2),
        ("missing-timeout", 3),
        ("remote-needs-topic", 3),
        ("duplicate-id", 4),
        ("topic-needs-remote", 4),
        ("forbidden-in-transform", 5),
    ]
    assert str(caught.value).startswith("g.bloge:2:12: error[unknown-operator]: operator Missing is not registered")


def test_a_syntax_error_does_not_hide_what_the_other_members_break() -> None:
    """Only what needs the lost members is left out: references to them, cycles, emptiness."""
    found = check_source("graph g {\n node a Op {}\n node b : Op { timeout = 5 depends_on = [a] }\n}")
    assert [(error.code, error.line, error.column) for error in found] == [
        ("syntax-error", 2, 9),
        ("wrong-type", 3, 26),
    ]


def test_a_pass_ends_after_enough_problems() -> None:
    """Nobody reads a thousand."""
    body = "\n".join(f"node n{number} : Op {{ timeout = 5 }}" for number in range(PROBLEMS_MAX * 3))
    assert len(errors(body)) == PROBLEMS_MAX
