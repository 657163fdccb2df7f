"""The `bloge-worker` command as a process, and its signals."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.worker_sdk.scripted_server import PATIENCE, ScriptedServer, lease_of

from bloge_worker.__main__ import main

MODULE = """
import threading
from bloge_worker import Worker

worker = Worker("127.0.0.1:1", drain_grace=20.0)

@worker.handler("topic", operator="Quick")
def quick(value):
    return value

@worker.handler("topic", operator="Hang")
def hang(ctx):
    ctx.progress()
    threading.Event().wait()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module that defines a worker."""
    (tmp_path / "shop.py").write_text(MODULE)
    (tmp_path / "empty.py").write_text("")
    return tmp_path


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a folder; whatever happens, it does not outlive the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bloge_worker", *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_first_signal_drains(folder: Path, server: ScriptedServer) -> None:
    """SIGTERM: what is done is reported, the server is told, the exit code is 0."""
    with command(folder, "shop:worker", "--address", server.address, "--slots", "3") as process:
        session = server.next_session()
        assert session.welcome().slots == 3
        session.offer(lease_of(operator="Quick", payload=b"7"))
        report = session.expect_report("completes")
        process.send_signal(signal.SIGTERM)
        session.expect("drain")
        session.accept(report)
        assert process.wait(PATIENCE) == 0


def test_the_second_signal_stops_at_once(folder: Path, server: ScriptedServer) -> None:
    """SIGINT twice: even a thread that never ends does not hold the process; its item is handed back."""
    with command(folder, "shop:worker", "--address", server.address) as process:
        session = server.next_session()
        session.welcome()
        session.offer(lease_of(operator="Hang"))
        session.accept(session.expect_report("heartbeats"))
        process.send_signal(signal.SIGINT)
        session.expect("drain")
        process.send_signal(signal.SIGINT)
        release = session.expect_report("releases")
        assert release.draining
        session.accept(release)
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("shop", "not of the form"),
        ("nowhere:worker", "cannot import nowhere"),
        ("shop:missing", "no Worker named 'missing'"),
        ("empty:worker", "no Worker named 'worker'"),
    ],
)
def test_a_worker_that_is_not_there_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str, problem: str
) -> None:
    """Exit code 2, one line on stderr, no traceback."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main([place]) == 2
    assert problem in capsys.readouterr().err


def test_a_wrong_setting_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, with the setting and what is allowed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["shop:worker", "--slots", "0"]) == 1
    assert "slots: 0" in capsys.readouterr().err
