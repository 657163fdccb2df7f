"""Processes that tell a test what they do, line by line."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

PATIENCE = 40.0
_STOP_SECONDS = 40
_TESTS = Path(__file__).parents[1]


class TalkingProcess:
    """A process whose lines are kept as they come. It is killed with the block in which it is used.

    Args:
        name: for messages.
        command: its command line.
        variables: of its environment, besides ours without settings of BLOGE.
    """

    def __init__(self, name: str, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
        paths = os.pathsep.join([str(_TESTS), str(_TESTS.parent)])
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**own, "PYTHONPATH": paths, **(variables or {})},
        )
        self.said: list[str] = []
        """Lines of standard output so far."""
        self.logged: list[str] = []
        """Lines of its log so far."""
        self._name = name
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines), daemon=True)
            for stream, lines in ((self.process.stdout, self.said), (self.process.stderr, self.logged))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.kill()

    def wait_for(self, beginning: str, count: int = 1) -> list[str]:
        """Wait until so many lines that begin like this were said; return the words after it of the last one."""
        found = self._wait(self.said, lambda line: line.startswith(beginning), count, f"{beginning!r} was not said")
        return found[len(beginning) :].split()

    def wait_for_log(self, text: str, count: int = 1) -> None:
        """Wait until so many lines with a text were logged."""
        self._wait(self.logged, lambda line: text in line, count, f"{text!r} was not logged")

    def stop(self) -> int:
        """Drain it; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=_STOP_SECONDS)
        self._close()
        return code

    def kill(self) -> None:
        """End it at once. Idempotent."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=_STOP_SECONDS)
        self._close()

    def freeze(self) -> None:
        """Stop its clock."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip())
                self._news.notify_all()

    def _wait(self, lines: list[str], wanted: Callable[[str], bool], count: int, what: str) -> str:
        def found() -> list[str]:
            return [line for line in lines if wanted(line)]

        with self._news:
            arrived = self._news.wait_for(lambda: len(found()) >= count, PATIENCE)
        assert arrived, f"{what} {count} times by {self._name}: {self.said[-20:]} {self.logged[-20:]}"
        return found()[count - 1]

    def _close(self) -> None:
        for reader in self._readers:
            reader.join(timeout=_STOP_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with suppress(BrokenPipeError):
                assert stream is not None
                stream.close()
