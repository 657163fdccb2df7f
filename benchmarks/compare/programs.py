"""The worker and client programs of a system, started and spoken to."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.processes import family

ROOT = Path(__file__).parents[2]
_REPLY_SECONDS = 180.0
_STOP_SECONDS = 15.0


class Stalled(RuntimeError):  # noqa: N818 - names what happened
    """A program did not do its part in time."""


class Client:
    """A client program: one command at a time.

    Args:
        command: starts it.
        variables: its environment, besides ours.
        log: where its errors go.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=_environment(variables),
            )
        self.versions: dict[str, str] = self.reply()["ready"]

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, do: str, **members: str | float) -> dict[str, Any]:
        """Give a command and return its answer."""
        self.tell(do, **members)
        return self.reply()

    def tell(self, do: str, **members: str | float) -> None:
        """Give a command; `reply` returns its answer later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **members}).encode() + b"\n")
        self._process.stdin.flush()

    def reply(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            Stalled: it ended, or does not answer.
        """
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(_REPLY_SECONDS) else b""
        if not line:
            raise Stalled(f"the client does not answer: {self._log.read_text()[-1000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        _end(self._process, signal.SIGTERM)
        self._process.stdout.close()


class Worker:
    """A worker program, with the children it may have."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=ROOT, env=_environment(variables)
            )

    @property
    def pids(self) -> list[int]:
        """Its processes."""
        return family(self._process.pid)

    def stop(self) -> None:
        """End it and its children, politely first."""
        _end(self._process, signal.SIGTERM)

    def kill(self) -> None:
        """End it and its children with SIGKILL."""
        _end(self._process, signal.SIGKILL)


@contextmanager
def workers(count: int, command: Sequence[str], variables: Mapping[str, str], folder: Path) -> Iterator[list[Worker]]:
    """Yield workers that run; end them afterwards. `{name}` in the command becomes a name for each.

    Args:
        count: how many.
        command: starts one.
        variables: its environment, besides ours.
        folder: for their output.
    """
    started: list[Worker] = []
    try:
        for number in range(count):
            words = [word.replace("{name}", f"worker-{number}") for word in command]
            started.append(Worker(words, variables, folder / f"worker-{number}.log"))
        yield started
    finally:
        for worker in started:
            worker.stop()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
    return {**ours, "PYTHONPATH": str(ROOT), **variables}


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to a process, and SIGKILL to all of its family that is left after a while."""
    members = family(process.pid)
    deadline = time.monotonic() + (_STOP_SECONDS if number == signal.SIGTERM else 0)
    if process.poll() is None:
        process.send_signal(number)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=max(0.0, deadline - time.monotonic()))
    for pid in members:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=_STOP_SECONDS)
