"""The `bloge-worker` command as a process, and its signals."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.worker_sdk.scripted_server import PATIENCE, ScriptedServer, ServerSession, lease_of

from bloge.remote_workers.v1 import work_stream_pb2
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
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def settle(session: ServerSession) -> None:
    """Return once the worker has taken all frames so far, its welcome among them."""
    session.send(ping=work_stream_pb2.Ping(ping_id=3))
    session.expect_answer(3)


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


def test_flags_change_the_workers_settings(folder: Path, server: ScriptedServer) -> None:
    """Namespace, health page, and a token from a file; what no flag names stays as the module says."""
    (folder / "token").write_text("secret\n")
    flags = ("--namespace", "team", "--health-port", "0", "--token-file", "token", "--plaintext", "--drain-grace", "5")
    with command(folder, "shop:worker", "--address", server.address, *flags) as process:
        session = server.next_session()
        assert session.welcome().namespace == "team"
        assert ("authorization", "Bearer secret") in session.metadata
        assert process.stderr is not None
        line = next(line for line in process.stderr if "/livez" in line)
        page = re.findall(r"http://\S+/livez", line)[0]
        settle(session)
        with urllib.request.urlopen(page, timeout=PATIENCE) as answer:
            assert json.load(answer)["ok"]
        process.send_signal(signal.SIGTERM)
        session.expect("drain")
        assert process.wait(PATIENCE) == 0


def test_reload_starts_a_changed_module_again(folder: Path, server: ScriptedServer) -> None:
    """The old worker drains, the new one has the new code; after a broken module it waits for the next change."""
    with command(folder, "shop:worker", "--address", server.address, "--reload") as process:
        first = server.next_session()
        first.welcome()
        (folder / "shop.py").write_text(MODULE.replace("return value", "return [value]"))
        first.expect("drain")
        second = server.next_session()
        second.welcome()
        second.offer(lease_of(operator="Quick", payload=b"7"))
        report = second.expect_report("completes")
        assert report.output == b"[7]"
        second.accept(report)
        (folder / "shop.py").write_text("def broken(")
        second.expect("drain")
        assert process.stderr is not None
        assert any("SyntaxError" in line for line in process.stderr)
        (folder / "shop.py").write_text(MODULE)
        third = server.next_session()
        third.welcome()
        settle(third)
        process.send_signal(signal.SIGINT)
        third.expect("drain")
        assert process.wait(PATIENCE) == 0


def test_reload_hands_back_what_does_not_end_soon(folder: Path, server: ScriptedServer) -> None:
    """A handler that hangs does not keep the old code alive: its item is released at no cost."""
    with command(folder, "shop:worker", "--address", server.address, "--reload") as process:
        session = server.next_session()
        session.welcome()
        session.offer(lease_of(operator="Hang"))
        session.accept(session.expect_report("heartbeats"))
        (folder / "shop.py").write_text(MODULE + "\n")
        session.expect("drain")
        release = session.expect_report("releases")
        assert release.draining
        session.accept(release)
        successor = server.next_session()
        successor.welcome()
        settle(successor)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_reload_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and the command."""
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert main(["shop:worker", "--reload"]) == 1
    assert "bloge-worker-sdk[reload]" in capsys.readouterr().err


def test_a_module_that_misses_something_itself_shows_its_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own ImportError is not taken for a missing worker, nor is any other error of it."""
    (folder / "shop.py").write_text("import nothing_like_this")
    (folder / "empty.py").write_text("{}[1]")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ModuleNotFoundError, match="nothing_like_this"):
        main(["shop:worker"])
    with pytest.raises(KeyError):
        main(["empty:worker"])


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
