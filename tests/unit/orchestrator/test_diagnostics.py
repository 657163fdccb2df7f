"""How findings are shown."""

from importlib.resources import files

import pytest

from bloge_orchestrator import Diagnostic, GraphInvalid, Severity, Stage
from bloge_orchestrator.diagnostic_codes import CODES, WARNINGS
from bloge_orchestrator.diagnostics import render_all

SOURCE = "graph g {\n\tnode a : Op { timeout = 5 }\n}\n"
WRONG = Diagnostic(Stage.COMPILE, "wrong-type", Severity.ERROR, "no duration", "a", "timeout", line=2, column=26)
WARNING = Diagnostic(Stage.LINT, "missing-timeout", Severity.WARNING, "no timeout")


def test_render_shows_place_line_and_caret() -> None:
    """The caret stands under the place, also behind a tab."""
    assert WRONG.render(SOURCE, "g.bloge").split("\n") == [
        "g.bloge:2:26: error[wrong-type]: no duration",
        "  \tnode a : Op { timeout = 5 }",
        "  \t" + " " * 24 + "^",
    ]


def test_render_without_a_place_is_one_line() -> None:
    """A graph built in Python has no places."""
    assert WARNING.render("", "<graph g>") == "<graph g>: warning[missing-timeout]: no timeout"


def test_render_leaves_out_a_line_no_screen_holds() -> None:
    """A caret behind hundreds of characters helps nobody."""
    assert WRONG.render("\n" + "x" * 500, "g.bloge") == "g.bloge:2:26: error[wrong-type]: no duration"


def test_json_has_camel_case_keys() -> None:
    """Tools read stage, code, severity, message, nodeId, field, line and column."""
    assert WRONG.to_json() == {
        "stage": "COMPILE",
        "code": "wrong-type",
        "severity": "ERROR",
        "message": "no duration",
        "nodeId": "a",
        "field": "timeout",
        "file": None,
        "line": 2,
        "column": 26,
    }


def test_the_exception_carries_and_shows_everything() -> None:
    """One exception tells all that is wrong."""
    error = GraphInvalid([WRONG, WARNING], source=SOURCE, filename="g.bloge")
    assert error.diagnostics == (WRONG, WARNING)
    assert str(error) == render_all([WRONG, WARNING], SOURCE, "g.bloge")


def test_every_code_that_is_explained_is_given() -> None:
    """And the other way round, which every finding checks itself."""
    package = files("bloge_orchestrator")
    paths = [path for folder in ("dsl", "lowering") for path in package.joinpath(folder).iterdir()]
    sources = [path.read_text() for path in paths if path.name.endswith(".py")]
    assert {code for code in CODES if not any(f'"{code}"' in source for source in sources)} == set()
    assert CODES.keys() > WARNINGS


def test_a_finding_without_an_explanation_is_a_mistake() -> None:
    """Nobody could look it up."""
    with pytest.raises(AssertionError, match="not among the codes"):
        Diagnostic(Stage.LINT, "surprise", Severity.ERROR, "boo")
