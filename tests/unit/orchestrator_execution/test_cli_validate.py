"""`bloge validate`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Bloge = Callable[..., Result]

VALID = "graph g {\n  node a : Op { timeout = 1s }\n}\n"
WARNED = "graph g {\n  node a : Op {}\n}\n"
INVALID = "graph g {\n  node a : Op { input { x = b.output } timeout = 1s }\n}\n"
OPERATORS = (
    "from bloge_orchestrator import OperatorRegistry\nregistry = OperatorRegistry()\nspare = OperatorRegistry()\n"
)


def test_a_valid_graph(bloge: Bloge, tmp_path: Path) -> None:
    """Ends with 0."""
    (tmp_path / "g.bloge").write_text(VALID)
    result = bloge("validate", "g.bloge")
    assert (result.exit_code, result.stdout) == (0, "g.bloge: valid\n")


def test_warnings_are_no_errors(bloge: Bloge, tmp_path: Path) -> None:
    """They are shown, and it ends with 0."""
    (tmp_path / "g.bloge").write_text(WARNED)
    result = bloge("validate", "g.bloge")
    assert result.exit_code == 0
    assert "g.bloge:2:8: warning[missing-timeout]" in result.stdout
    assert result.stdout.endswith("g.bloge: valid, 1 warning\n")


def test_an_error_is_shown_with_a_caret(bloge: Bloge, tmp_path: Path) -> None:
    """With place, code and source line; ends with 1."""
    (tmp_path / "g.bloge").write_text(INVALID)
    result = bloge("validate", "g.bloge")
    assert result.exit_code == 1
    assert result.stdout == (
        "g.bloge:2:29: error[unknown-dependency]: node a depends on `b`, which is not in the graph\n"
        "    node a : Op { input { x = b.output } timeout = 1s }\n"
        "                              ^\n"
        "g.bloge: invalid, 1 error\n"
    )


def test_json(bloge: Bloge) -> None:
    """The same for programs; a graph can come from standard input."""
    result = bloge("validate", "-", "--json", stdin=INVALID)
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["file"], document["valid"]) == ("-", False)
    assert document["diagnostics"][0]["line"] == 2


def test_operators_are_looked_up_if_they_are_given(bloge: Bloge, tmp_path: Path) -> None:
    """Only then: a graph can be checked without its program."""
    (tmp_path / "g.bloge").write_text(VALID)
    (tmp_path / "ops_of_mine.py").write_text(OPERATORS + "registry.register('Op', lambda given: given)\n")
    assert bloge("validate", "g.bloge", "--operators", "ops_of_mine").exit_code == 0
    result = bloge("validate", "g.bloge", "--operators", "ops_of_mine:spare")
    assert result.exit_code == 1
    assert "operator Op is not registered" in result.stdout


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("no_such_module:registry", "No module named 'no_such_module'"),
        ("ops_of_mine:nothing", "has no OperatorRegistry named 'nothing'; it has registry, spare"),
        ("empty_one", "make one with `registry = OperatorRegistry()`"),
        ("broken_one", "SyntaxError"),
        ("failing_one", "failing_one.py:2)"),
        (":registry", "give it as MODULE:REGISTRY"),
    ],
)
def test_operators_that_cannot_be_had(bloge: Bloge, tmp_path: Path, place: str, told: str) -> None:
    """The message says what is wrong with the module and where; ends with 2."""
    (tmp_path / "g.bloge").write_text(VALID)
    (tmp_path / "ops_of_mine.py").write_text(OPERATORS)
    (tmp_path / "empty_one.py").write_text("")
    (tmp_path / "broken_one.py").write_text("def (")
    (tmp_path / "failing_one.py").write_text("\nx = 1 / 0\n")
    result = bloge("validate", "g.bloge", "--operators", place)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"graph \xff {}", "is not UTF-8 text: byte 6")])
def test_a_file_that_cannot_be_read(bloge: Bloge, tmp_path: Path, content: bytes | None, told: str) -> None:
    """Ends with 2 and says why."""
    if content is not None:
        (tmp_path / "g.bloge").write_bytes(content)
    result = bloge("validate", "g.bloge")
    assert result.exit_code == 2
    assert told in result.stderr
