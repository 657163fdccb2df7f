"""`bloge format` and `bloge render`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Bloge = Callable[..., Result]

LOOSE = "graph g{node a:Op{timeout=1s}}"
SET = "graph g {\n  node a : Op { timeout = 1s }\n}\n"
BROKEN = "graph g { node }"


def test_a_file_is_formatted_in_place(bloge: Bloge, tmp_path: Path) -> None:
    """Only if it changes, and it says so."""
    (tmp_path / "a.bloge").write_text(LOOSE)
    (tmp_path / "b.bloge").write_text(SET)
    result = bloge("format", "a.bloge", "b.bloge")
    assert (result.exit_code, result.stdout) == (0, "a.bloge formatted\n")
    assert (tmp_path / "a.bloge").read_text() == SET


def test_check_writes_nothing(bloge: Bloge, tmp_path: Path) -> None:
    """It ends with 1 if a file is not formatted, and names it."""
    (tmp_path / "a.bloge").write_text(LOOSE)
    result = bloge("format", "--check", "a.bloge")
    assert (result.exit_code, result.stderr) == (1, "a.bloge is not formatted\n")
    assert (tmp_path / "a.bloge").read_text() == LOOSE
    (tmp_path / "a.bloge").write_text(SET)
    assert bloge("format", "--check", "a.bloge").exit_code == 0


def test_diff_shows_what_would_change(bloge: Bloge, tmp_path: Path) -> None:
    """And changes nothing."""
    (tmp_path / "a.bloge").write_text(LOOSE)
    result = bloge("format", "--diff", "a.bloge")
    assert result.exit_code == 0
    assert result.stdout.startswith("--- a.bloge\n+++ a.bloge formatted\n")
    assert f"-{LOOSE}\n" in result.stdout
    assert (tmp_path / "a.bloge").read_text() == LOOSE


def test_standard_input_goes_to_standard_output(bloge: Bloge) -> None:
    """As an editor wants it."""
    result = bloge("format", "-", stdin=LOOSE)
    assert (result.exit_code, result.stdout) == (0, SET)


def test_what_cannot_be_formatted_is_told_and_the_rest_is_formatted(bloge: Bloge, tmp_path: Path) -> None:
    """With the place of what does not parse; it ends with 2."""
    (tmp_path / "a.bloge").write_text(BROKEN)
    (tmp_path / "b.bloge").write_text(LOOSE)
    result = bloge("format", "missing.bloge", "a.bloge", "b.bloge")
    assert result.exit_code == 2
    assert "2 files cannot be formatted" in result.stderr
    assert "missing.bloge cannot be read" in result.stderr
    assert "a.bloge:1:14: error[syntax-error]" in result.stderr
    assert (tmp_path / "a.bloge").read_text() == BROKEN
    assert (tmp_path / "b.bloge").read_text() == SET


# ---- render ----


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ([], "flowchart TD"),
        (["--format", "svg"], "<svg "),
        (["--format", "mermaid"], "flowchart TD"),
    ],
)
def test_a_picture_goes_to_standard_output(bloge: Bloge, options: list[str], start: str) -> None:
    """Mermaid unless something else is asked for."""
    result = bloge("render", "-", *options, stdin=SET)
    assert result.exit_code == 0
    assert result.stdout.startswith(start)


@pytest.mark.parametrize(
    ("output", "options", "start"),
    [
        ("g.svg", [], "<svg "),
        ("g.mmd", [], "flowchart TD"),
        ("g.txt", [], "flowchart TD"),
        ("g.txt", ["--format", "svg"], "<svg "),
    ],
)
def test_a_picture_goes_to_a_file(bloge: Bloge, tmp_path: Path, output: str, options: list[str], start: str) -> None:
    """Its name says what kind it is, unless an option does."""
    (tmp_path / "lib.bloge").write_text("graph lib { transform t { x = 1 } }")
    (tmp_path / "g.bloge").write_text('import "./lib" as lib graph g { node s : lib {} }')
    result = bloge("render", "g.bloge", "-o", output, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / output).read_text().startswith(start)


def test_an_invalid_graph_is_not_drawn(bloge: Bloge, tmp_path: Path) -> None:
    """What is wrong is told, with its place; it ends with 2."""
    (tmp_path / "g.bloge").write_text("graph g { node a : Op { depends_on = [b] } }")
    result = bloge("render", "g.bloge")
    assert result.exit_code == 2
    assert "g.bloge:1:39: error[unknown-dependency]" in result.stderr


def test_a_place_that_cannot_be_written_to_is_told(bloge: Bloge) -> None:
    """It ends with 2."""
    result = bloge("render", "-", "-o", "missing/g.svg", stdin=SET)
    assert result.exit_code == 2
    assert "missing/g.svg cannot be written" in result.stderr


# ---- what validate and run say about imports ----


def test_validate_follows_imports(bloge: Bloge, tmp_path: Path) -> None:
    """What is wrong in an imported file is shown with its own lines, whoever calls from wherever."""
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "lib.bloge").write_text("graph lib {\n  transform t { x = nope }\n}\n")
    (tmp_path / "graphs" / "g.bloge").write_text('import "./lib" as lib\ngraph g { node s : lib {} }\n')
    result = bloge("validate", "graphs/g.bloge")
    assert result.exit_code == 1
    assert result.stdout == (
        "graphs/lib.bloge:2:21: error[unknown-dependency]: node t depends on `nope`, which is not in the graph\n"
        "    transform t { x = nope }\n"
        "                      ^\n"
        "graphs/g.bloge: invalid, 1 error\n"
    )


def test_files_that_import_each_other_are_refused(bloge: Bloge, tmp_path: Path) -> None:
    """However their paths are written."""
    (tmp_path / "a.bloge").write_text('import "./x/../b" as b graph a { node s : b {} }')
    (tmp_path / "b.bloge").write_text('import "./a" as a graph b { node s : a {} }')
    (tmp_path / "x").mkdir()
    result = bloge("validate", "./a.bloge")
    assert result.exit_code == 1
    assert "error[import-cycle]" in result.stdout


def test_an_imported_file_must_be_text(bloge: Bloge, tmp_path: Path) -> None:
    """The import says what is wrong with it."""
    (tmp_path / "lib.bloge").write_bytes(b"graph \xff")
    result = bloge("validate", "-", stdin='import "./lib" as lib graph g { node s : lib {} }')
    assert "lib.bloge is not UTF-8 text: byte 6 does not fit" in result.stdout
