"""The fault matrix: `make test-faults`. What each fault did is printed as a table at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.brisk import BRISK, brisk_address, start_worker, wire
from support.server import ServerProcess

__all__ = ["brisk_address", "start_worker", "wire"]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Return a server that the test may stop, and whose log it may read."""
    server = ServerProcess("--data-dir", str(tmp_path), *BRISK)
    yield server
    server.thaw()
    server.stop()


_told: dict[str, str] = {}
"""By test: the fault in words."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Remember what each test is about."""
    for item in items:
        function = getattr(item, "function", None)
        first = (getattr(function, "__doc__", None) or item.name).strip().splitlines()[0]
        callspec = getattr(item, "callspec", None)
        _told[item.nodeid] = f"{first.partition(':')[0].rstrip('.')}{f' ({callspec.id})' if callspec else ''}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print fault and result, a line each."""
    rows = list(_rows(terminalreporter))
    if rows:
        width = max(len(fault) for fault, _, _ in rows)
        terminalreporter.section("fault matrix")
        for fault, result, seconds in rows:
            terminalreporter.line(f"{fault:<{width}}  {result:<7}  {seconds:6.1f} s")


def _rows(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, str, float]]:
    words = {"passed": "held", "failed": "BROKE", "error": "ERROR", "skipped": "skipped"}
    for outcome, word in words.items():
        for report in terminalreporter.getreports(outcome):
            if report.nodeid in _told and (report.when == "call" or outcome != "passed"):
                yield _told[report.nodeid], word, report.duration
