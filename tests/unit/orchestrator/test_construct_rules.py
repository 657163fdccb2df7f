"""The rules of branches, foreach and sub-graphs, with the place each names."""

import pytest

from bloge_orchestrator import Diagnostic, OperatorRegistry, Severity, Stage, check_source, compile_source
from bloge_orchestrator.lowering.shape import LEVELS_MAX
from bloge_orchestrator.lowering.subgraphs import DEPTH_MAX, NODES_MAX
from support.graph_files import FilesInMemory

LIB = "graph lib { input { a: Int b: Int? } transform last { y = ctx.a } }"


def found(body: str, files: dict[str, str] | None = None, imports: str = "") -> list[Diagnostic]:
    """Check a graph whose members start in line 2, behind imports in line 1, for errors."""
    text = f"{imports} graph g {{\n{body}\n}}"
    all_found = check_source(text, filename="main.bloge", files=FilesInMemory(files or {}))
    return [diagnostic for diagnostic in all_found if diagnostic.severity is Severity.ERROR]


def node(name: str, entries: str = "") -> str:
    """Write a node."""
    return f"node {name} : Op {{ timeout = 1s {entries} }}"


BODY = "node x : Op { timeout = 1s }"
ONE_ERROR = [
    ("branch on true { true -> b }", "unknown-target", Stage.COMPILE, 26, "branch-1", "which is no node beside it"),
    ("branch on a.x { true -> aa }", "unknown-target", Stage.COMPILE, 25, "branch-1", "did you mean `a`?"),
    ("branch on nope.x { true -> a }", "unknown-dependency", Stage.COMPILE, 11, "branch-1", "depends on `nope`"),
    ("branch on true { nope.x -> a }", "unknown-dependency", Stage.COMPILE, 18, "branch-1", "depends on `nope`"),
    ("branch on f(1) { true -> a }", "unknown-function", Stage.COMPILE, 11, "branch-1", "no function f"),
    ("branch mode=all on true { true -> a }", "unknown-branch-mode", Stage.COMPILE, 13, "branch-1", "got all"),
    ("branch on true {}", "empty-branch", Stage.COMPILE, 1, "branch-1", "at least one arm"),
    ("foreach l : i in ctx.x {}", "empty-foreach", Stage.LINT, 9, "l", "has no node inside"),
    (f"foreach l : i in nope.x {{ {BODY} }}", "unknown-dependency", Stage.COMPILE, 18, "l", "depends on `nope`"),
    (f"foreach l : ctx in [] {{ {BODY} }}", "reserved-id", Stage.COMPILE, 13, "l", "another name"),
    (f"foreach l : (i, i) in [] {{ {BODY} }}", "duplicate-id", Stage.LINT, 17, "l", "`i` is taken"),
    (f"foreach l : a in [] {{ {BODY} }}", "duplicate-id", Stage.LINT, 13, "l", "`a` is taken"),
    ("foreach l : i in [] { node a : Op {} }", "duplicate-id", Stage.LINT, 28, "a", "names something that the nodes"),
    ("foreach l : i in [] { node i : Op {} }", "duplicate-id", Stage.LINT, 28, "i", "names something that the nodes"),
    ("foreach l : i in [] { node l : Op {} }", "duplicate-id", Stage.LINT, 28, "l", "names something that the nodes"),
    (f"foreach l : i in [] {{ x = 1 {BODY} }}", "unknown-field", Stage.COMPILE, 23, "l", "`x` is not a field"),
    (
        f"foreach l : i in [] {{ max_concurrency = 0 {BODY} }}",
        "out-of-range",
        Stage.COMPILE,
        41,
        "l",
        "from 1 to 100000, got 0",
    ),
    (
        f"foreach l : i in [] {{ on_item_failure = stop {BODY} }}",
        "wrong-type",
        Stage.COMPILE,
        41,
        "l",
        "must be fail or continue, got stop",
    ),
    (
        f"foreach l : i in [] sequential {{ max_concurrency = 2 {BODY} }}",
        "conflicting-fields",
        Stage.COMPILE,
        34,
        "l",
        "one item at a time",
    ),
    (
        f"foreach l : i in [] {{ depends_on = [b] {BODY} }}",
        "unknown-dependency",
        Stage.COMPILE,
        37,
        "l",
        "depends on `b`",
    ),
    (
        "foreach l : i in [] { node x : Op { timeout = 1s depends_on = [a] } }",
        "unknown-dependency",
        Stage.COMPILE,
        64,
        "x",
        "which is outside; let what it stands in depend on it",
    ),
    ("foreach l : i in l.output { node x : Op {} }", "cycle", Stage.LINT, 9, "l", "l -> l"),
    ("foreach l : i in [] { transform t { y = l.output } }", "cycle", Stage.LINT, 9, "l", "l -> l"),
    (
        "foreach l : i in [] { transform t { y = u.y } transform u { y = t.y } }",
        "cycle",
        Stage.LINT,
        33,
        "t",
        "t -> u -> t",
    ),
    (
        "foreach l : i in [] { transform t { y = now() } }",
        "forbidden-in-transform",
        Stage.COMPILE,
        41,
        "t",
        "forbidden in a transform",
    ),
]


@pytest.mark.parametrize(("body", "code", "stage", "column", "name", "message"), ONE_ERROR)
def test_rules_of_branches_and_loops(body: str, code: str, stage: Stage, column: int, name: str, message: str) -> None:
    """One error each, with the node that breaks the rule."""
    (error,) = found(f"{body}\n{node('a')}")
    assert (error.code, error.stage, error.line, error.column, error.node) == (code, stage, 2, column, name)
    assert message in error.message


def test_what_is_inside_a_foreach_cannot_be_named_outside() -> None:
    """The message says what can."""
    (error,) = found("foreach l : i in [] { transform x { y = i } }\ntransform t { z = x.y }")
    assert error.message == "node t depends on `x`, which is inside `l`; from outside only `l.output` can be read"


def test_the_same_id_may_stand_in_two_loops() -> None:
    """They do not see each other."""
    assert found("\n".join(f"foreach l{n} : i in [] {{ transform x {{ y = i }} }}" for n in (1, 2))) == []


def test_a_branch_edge_closes_a_circle() -> None:
    """A target waits for the branch, and the branch for what it reads."""
    (error,) = found(f"branch on b.x {{ true -> a }}\n{node('a')}\n{node('b', 'depends_on = [a]')}")
    assert (error.code, error.message.split(": ")[1]) == ("cycle", "branch-1 -> a -> b -> branch-1")


def test_an_arm_behind_one_with_the_same_value_is_warned_of() -> None:
    """It can never be chosen; in an inclusive branch it can."""
    arms = '{ "x" -> a  1 -> a  1.0 -> b  "x" -> b }'
    warnings = check_source(f"graph g {{ branch on ctx.x {arms} transform a {{}} transform b {{}} }}")
    assert [(each.code, each.severity, each.column) for each in warnings] == [
        ("unreachable-arm", Severity.WARNING, 47),
        ("unreachable-arm", Severity.WARNING, 57),
    ]
    assert found(f"branch mode=inclusive on ctx.x {arms} transform a {{}} transform b {{}}") == []


# ---- sub-graphs and imports ----


@pytest.mark.parametrize(
    ("imports", "member", "code", "line", "column", "message"),
    [
        ('import "./nope" as lib', "node s : lib {}", "import-not-found", 1, 8, "nope.bloge cannot be read"),
        ('import "lib" as lib', "node s : lib {}", "invalid-import", 1, 8, "start it with `./` or `../`"),
        ('import "/lib" as lib', "node s : lib {}", "invalid-import", 1, 8, "start it with `./` or `../`"),
        ('import "./lib" as l import "./lib" as l', "node s : l {input {a = 1}}", "duplicate-id", 1, 21, "is taken"),
        ("", 'node s : subgraph("nope") {}', "unknown-subgraph", 2, 10, "no file beside has it"),
        ("", 'node s : subgraph("no pe") {}', "unknown-subgraph", 2, 10, '"no pe" cannot name a graph'),
        ('import "./lib" as lab', 'node s : subgraph("lag") {}', "unknown-subgraph", 2, 10, "did you mean `lab`?"),
        ("", 'node s : subgraph("lib") { output { a: Int } }', "wrong-type", 2, 28, "declare the output there"),
        ("", 'node s : subgraph("loop") {}', "import-cycle", 2, 10, "main.bloge -> loop.bloge -> main.bloge"),
    ],
)
def test_rules_of_imports_and_subgraphs(
    imports: str, member: str, code: str, line: int, column: int, message: str
) -> None:
    """One error each, in the file that breaks the rule."""
    files = {
        "lib.bloge": LIB,
        "loop.bloge": 'graph loop { node back : subgraph("main") {} }',
        "main.bloge": "graph g {}",
    }
    errors = found(member, files, imports)
    assert [error.code for error in errors] == [code]
    if code == "import-cycle":
        assert (errors[0].file, errors[0].line, errors[0].column) == ("loop.bloge", 1, 26)
    else:
        assert (errors[0].file, errors[0].line, errors[0].column) == (None, line, column)
    assert message in errors[0].message


def test_an_import_needs_a_place_to_come_from() -> None:
    """A text that is no file has nothing beside it."""
    (error,) = check_source('import "./lib" as lib graph g { node s : lib {} }')
    assert (error.code, error.column) == ("import-not-found", 8)
    assert "./lib cannot be looked up here" in error.message


def test_what_is_wrong_with_an_imported_file_is_told_with_its_own_lines(registry: OperatorRegistry) -> None:
    """Once, however often it is used, and with the caret under the place in that file."""
    files = {"lib.bloge": "graph lib {\n  node bad : Missing { timeout = 5 }\n  node worse Op {}\n}"}
    text = 'graph g {\n  node s : subgraph("lib") {}\n  node t : subgraph("lib") { scope = parent }\n}'
    diagnostics = check_source(text, filename="main.bloge", registry=registry, files=FilesInMemory(files))
    assert [(each.file, each.code, each.line) for each in diagnostics] == [
        ("lib.bloge", "unknown-operator", 2),
        ("lib.bloge", "wrong-type", 2),
        ("lib.bloge", "syntax-error", 3),
    ]
    assert diagnostics[1].render(text, "main.bloge") == (
        "lib.bloge:2:34: error[wrong-type]: `timeout` must be a duration such as 30s or 5m, got 5\n"
        "    node bad : Missing { timeout = 5 }\n"
        "                                   ^"
    )
    assert diagnostics[1].to_json()["file"] == "lib.bloge"


def test_an_import_that_is_not_used_is_warned_of() -> None:
    """It is read all the same, and need not be there for nothing."""
    text = 'import "./lib" as lib graph g { transform t { x = 1 } }'
    (warning,) = check_source(text, filename="main.bloge", files=FilesInMemory({"lib.bloge": LIB}))
    assert (warning.code, warning.severity, warning.column) == ("unused-import", Severity.WARNING, 1)


def test_what_a_subgraph_is_given_is_compared_with_what_it_declares() -> None:
    """A field it wants and does not get, and one it does not know; an optional one may be left out."""
    text = 'graph g { node s : subgraph("lib") { input { aa = 1 } } }'
    warnings = check_source(text, filename="main.bloge", files=FilesInMemory({"lib.bloge": LIB}))
    assert [(each.code, each.severity, each.field, each.column) for each in warnings] == [
        ("missing-input", Severity.WARNING, "input.a", 16),
        ("unknown-input", Severity.WARNING, "input.aa", 46),
    ]


def test_a_subgraph_needs_no_timeout_and_knows_no_dead_letter(registry: OperatorRegistry) -> None:
    """The nodes inside have their own."""
    text = 'graph g { node s : subgraph("lib") { input { a = 1 } on_dead_letter = keep_suspended } }'
    graph = compile_source(text, filename="main.bloge", registry=registry, files=FilesInMemory({"lib.bloge": LIB}))
    assert [each.code for each in graph.diagnostics] == ["unused-field"]


def test_an_isolated_subgraph_sees_nothing_of_what_is_around() -> None:
    """With `scope = parent` it does, but its own ids come first."""
    files = {"lib.bloge": "graph lib { transform a { y = load.output } transform b { y = a.y } }"}
    body = f'{node("load")}\n{node("a")}\nnode s : subgraph("lib") {{ %s }}'
    (error,) = found(body % "", files)
    assert (error.file, error.code) == ("lib.bloge", "unknown-dependency")
    assert found(body % "scope = parent", files) == []


def test_graphs_in_graphs_have_a_deepest_level() -> None:
    """Far beyond what can be read, far below what would break."""
    files = {f"g{n}.bloge": f'graph g{n} {{ node s : subgraph("g{n + 1}") {{}} }}' for n in range(DEPTH_MAX + 2)}
    errors = found('node s : subgraph("g0") {}', files)
    assert [(error.code, error.file) for error in errors] == [("nesting-too-deep", f"g{DEPTH_MAX - 1}.bloge")]


@pytest.mark.parametrize("scope", ["isolated", "parent"])
def test_graphs_that_multiply_are_refused_before_they_are_built(scope: str) -> None:
    """Each file uses the next one twice: a few lines that would stand for more nodes than anybody has."""
    twice = 'node {0} : subgraph("g{1}") {{ scope = {2} }} node {0}b : subgraph("g{1}") {{ scope = {2} }}'
    files = {f"g{n}.bloge": f"graph g{n} {{ {twice.format(f's{n}', n + 1, scope)} }}" for n in range(14)}
    files["g14.bloge"] = "graph g14 { transform t { x = 1 } }"
    errors = found('node s : subgraph("g0") {}', files)
    assert [error.code for error in errors] == ["graph-too-large"]
    assert str(NODES_MAX) in errors[0].message


def test_a_setting_of_the_language_family_that_is_not_ours_is_refused_by_name() -> None:
    """As constructs are."""
    (error,) = found(f"foreach l : i in [] {{ batch_size = 5 {BODY} }}")
    assert (error.code, error.column) == ("outside-project", 23)


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ("s.output.hidden", "graph lib gives last or spare, not `hidden`"),
        ("s.hidden.y", "graph lib gives last or spare, not `hidden`"),
        ("[1, map([], x -> s?.output?.lost)]", "did you mean `last`?"),
        ("l.output.y", "the output of l is a list with an item for each of its items; it has no `y`"),
    ],
)
def test_what_a_subgraph_or_a_foreach_does_not_give_is_warned_of(reading: str, message: str) -> None:
    """Their outputs have a known form, whatever the operators inside give."""
    body = 'node s : subgraph("lib") { fallback = { spare: 1 } }\nforeach l : i in [] { transform x { y = i } }'
    text = f"graph g {{ transform t {{ z = {reading} }}\n{body}\n}}"
    lib = "graph lib { transform hidden { y = 1 } transform last { y = hidden.y } branch on 1 { 1 -> last } }"
    (warning,) = check_source(text, filename="main.bloge", files=FilesInMemory({"lib.bloge": lib}))
    assert (warning.code, warning.severity, warning.node, warning.field) == (
        "unknown-output",
        Severity.WARNING,
        "t",
        "z",
    )
    assert message in warning.message


@pytest.mark.parametrize(
    "reading", ["s.output", "s.last.y", "s.output.spare", "l.output.size", "l.length", "map(l.output, l -> l.x)"]
)
def test_what_they_give_can_be_read(reading: str) -> None:
    """A lambda's parameter may have the name of a node."""
    body = 'node s : subgraph("lib") { fallback = { spare: 1 } }\nforeach l : i in [] { transform x { y = i } }'
    text = f"graph g {{ transform t {{ z = {reading} }}\n{body}\n}}"
    files = FilesInMemory({"lib.bloge": "graph lib { transform last { y = 1 } }"})
    assert check_source(text, filename="main.bloge", files=files) == ()


def test_loops_and_graphs_together_have_a_deepest_level() -> None:
    """However they are mixed, and also where a graph is used that was checked before."""
    loops = "".join(f"foreach l{n} : i{n} in [] {{ " for n in range(14))

    def graph(name: str, inside: str) -> str:
        return f"graph {name} {{ {loops} {inside} {'}' * 14} }}"

    files = {
        "inner.bloge": graph("inner", "transform t { x = 1 }"),
        "middle.bloge": graph("middle", 'node s : subgraph("inner") {}'),
        "outer.bloge": graph("outer", 'node s : subgraph("middle") {}'),
    }
    assert found('node s : subgraph("middle") {}', files) == []
    assert [error.code for error in found('node s : subgraph("outer") {}', files)] == ["nesting-too-deep"]
    both = found('node first : subgraph("middle") {}\nnode s : subgraph("outer") {}', files)
    assert [error.code for error in both] == ["nesting-too-deep"]


def test_loops_alone_have_a_deepest_level() -> None:
    """Before anything runs out."""
    loops = "".join(f"foreach l{n} : i{n} in [] {{ " for n in range(LEVELS_MAX))
    (error,) = found(f"{loops} transform t {{ x = 1 }} {'}' * LEVELS_MAX}")
    assert error.code == "nesting-too-deep"


def test_a_remote_node_has_a_longest_path() -> None:
    """It names the node in its work item."""
    far = 'node {} : Far {{ execution_mode = remote worker_topic = "t" timeout = 1s }}'
    assert found(f"foreach {'l' * 120} : i in [] {{ {far.format('n' * 120)} }}") == []
    (error,) = found(f"foreach {'l' * 128} : i in [] {{ {far.format('n' * 128)} }}")
    assert error.code == "path-too-long"
