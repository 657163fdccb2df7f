"""The tutorial, followed word by word on a real server."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .markdown import DOCS, Block, Direction, matches, steps

PATIENCE = 60.0


class Terminal:
    """One command that runs while the reader does other things."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._seen = 0
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def see(self, expected: str) -> None:
        """Wait until lines have appeared, in order, after those that were seen before."""
        for line in expected.splitlines():
            with self._changed:
                assert self._changed.wait_for(lambda: self._appears(line), PATIENCE), f"{line!r} in {self._lines}"  # noqa: B023 - called at once

    def end(self) -> str:
        """Wait until it has ended; return all it printed."""
        assert self.process.wait(PATIENCE) == 0, self._lines
        self._reader.join(PATIENCE)
        return "\n".join(self._lines)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it with a signal, and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def _appears(self, expected: str) -> bool:
        for index in range(self._seen, len(self._lines)):
            if matches(expected, self._lines[index]):
                self._seen = index + 1
                return True
        return False

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                with self._changed:
                    self._lines.append(line.rstrip())
                    self._changed.notify_all()


class Reader:
    """Somebody who does what the page says.

    Args:
        folder: empty, to work in.
        address: where the server is to be, instead of the usual ports, which may be taken.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        known = {name: value for name, value in os.environ.items() if not name.startswith(("BLOGE_", "PYTHON"))}
        self._environment = {
            **known,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "BLOGE_ADDRESS": address,
            "BLOGE_LISTEN": address,
            "BLOGE_HTTP_LISTEN": "127.0.0.1:0",
        }
        self.terminals: dict[str, Terminal] = {}
        self._printed = ""

    def follow(self, page: Path) -> None:
        """Take every step of a page."""
        direction = Direction("", "")
        for step in steps(page):
            match step:
                case Direction("signal", argument):
                    name, number = argument.split()
                    self.terminals[name].stop(signal.Signals[number])
                case Direction():
                    direction = step
                case Block("python", body):
                    name = body.partition("\n")[0].removeprefix("# ")
                    (self._folder / name).write_text(body)
                case Block("sh", body):
                    self._run(body, direction)
                    direction = Direction("", "")
                case Block("text", body):
                    self._see(body, direction)
                    direction = Direction("", "")
                case _:
                    raise AssertionError(f"nobody knows what to do with {step}")

    def _run(self, command: str, direction: Direction) -> None:
        if direction.word == "background":
            self.terminals[direction.argument] = Terminal(command, self._folder, self._environment)
            return
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self._printed = done.stdout

    def _see(self, expected: str, direction: Direction) -> None:
        if direction.word == "appears in":
            self.terminals[direction.argument].see(expected)
        elif direction.word == "ends":
            assert self.terminals[direction.argument].end() == expected.strip()
        else:
            assert self._printed.strip() == expected.strip()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Return somebody in an empty folder; what they have started ends with the test."""
    (tmp_path / "work").mkdir()
    reader = Reader(tmp_path / "work", f"unix:{tmp_path}/server")
    yield reader
    for terminal in reversed(reader.terminals.values()):
        terminal.stop()


@pytest.mark.timeout(180)
def test_the_tutorial_is_true(reader: Reader) -> None:
    """Every file, every command, every line that is shown, and clean ends of all that ran."""
    reader.follow(DOCS / "tutorial.md")
    codes = {name: terminal.process.poll() for name, terminal in reader.terminals.items()}
    assert codes == {"server": None, "worker": 0, "doomed": -signal.SIGKILL, "asker": 0, "heir": 0}


def test_the_tutorial_shows_something_after_each_command() -> None:
    """A reader learns whether it worked."""
    blocks = [step for step in steps(DOCS / "tutorial.md") if isinstance(step, Block)]
    assert {block.language for block in blocks} == {"python", "sh", "text"}
    assert all(block.body.startswith("# ") for block in blocks if block.language == "python")
