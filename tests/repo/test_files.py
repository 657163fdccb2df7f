"""What the repository's files may hold."""

import ast
import re
from pathlib import Path

import pytest

from .repository import ROOT, text, tracked

MAX_LINES, MAX_TEST_LINES = 300, 500
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
PYTHON = [path for path in tracked() if path.suffix == ".py" and not GENERATED.search(path.name)]
SELF = Path(__file__).relative_to(ROOT)
ADDRESSES = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|proxy\.golang|crates\.io/api|artifactory|nexus/"
    r"|--(extra-)?index-url|https?://\S+/simple\b|trusted-host"
)
"""Where packages come from is a matter of the machine, not of the project."""
MACHINE_PATHS = re.compile(r"(?<![\w.])/(root|work|home/\w+|Users/\w+|mnt/\w+)/")
"""Paths of somebody's machine mean nothing on another."""
SECRETS = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abp]-")


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_a_file_is_short_enough_to_be_read_as_a_whole(path: Path) -> None:
    """300 lines, 500 for tests; generated files are nobody's to read."""
    limit = MAX_TEST_LINES if path.parts[0] == "tests" else MAX_LINES
    assert len(text(path).splitlines()) <= limit


@pytest.mark.parametrize(
    ("pattern", "what"),
    [(ADDRESSES, "a package registry's address"), (MACHINE_PATHS, "a machine's path"), (SECRETS, "a secret")],
    ids=["addresses", "paths", "secrets"],
)
def test_no_file_holds(pattern: re.Pattern[str], what: str) -> None:
    """Nothing that belongs to one machine, one mirror or one person."""
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path in tracked()
        if path != SELF
        for number, line in enumerate(text(path).splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == [], f"{what} stands in a file"


def test_what_records_an_index_is_not_committed() -> None:
    """Lock files that name where each package came from."""
    recording = {"uv.lock", "pylock.toml", "package-lock.json", "pip.conf"}
    assert [path for path in tracked() if path.name in recording] == []


@pytest.mark.parametrize("folder", ["protos", "server", "worker_sdk", "orchestrator"])
def test_every_package_says_that_it_is_typed(folder: str) -> None:
    """Type checkers of users look for the marker."""
    markers = [path for path in tracked() if path.parts[0] == folder and path.name == "py.typed"]
    assert len(markers) == 1


@pytest.mark.parametrize("path", [path for path in PYTHON if path.name.startswith("test_")], ids=str)
def test_every_test_says_what_it_shows(path: Path) -> None:
    """In one line, the first of its docstring."""
    nodes = ast.walk(ast.parse(text(path)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    tests = [node for node in functions if node.name.startswith("test_")]
    assert [node.name for node in tests if not ast.get_docstring(node)] == []
