"""Runs a worker in a process of its own and starts it again when its code changes. For development."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from bloge_worker.errors import ConfigError

DRAIN_SECONDS = 2.0
"""How long held items may still run when the code has changed; then they are handed back."""
STOP_SECONDS = 5.0
"""How long a worker that was told to stop at once may take."""
_SETTLE_MILLISECONDS = 300
"""Changes within this time count as one: editors write a file in several steps."""

_log = logging.getLogger("bloge_worker")


def run_reloading(arguments: Sequence[str], folder: Path) -> int:
    """Run the command with these arguments, and again after each change of a Python file, until told to stop.

    Args:
        arguments: of `bloge-worker`, without `--reload`.
        folder: where to look for changes, with all that is in it.

    Returns:
        The exit code of the last worker.

    Raises:
        ConfigError: the library that watches files is not installed.
    """
    try:
        from watchfiles import PythonFilter, watch  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--reload needs watchfiles; install it with: pip install 'bloge-worker-sdk[reload]'"
        ) from error
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells how many files changed, we tell which
    supervisor = _Supervisor(arguments)
    for changes in watch(
        folder,
        watch_filter=PythonFilter(),
        debounce=_SETTLE_MILLISECONDS,
        stop_event=supervisor.told_to_stop,
        raise_interrupt=False,
    ):
        names = sorted({Path(path).name for _, path in changes})
        _log.info("%s changed: starting the worker again", ", ".join(names))
        supervisor.restart()
    return supervisor.wait()


class _Supervisor:
    """One worker process after another. Signals are passed on, so a second one stops at once as ever.

    Args:
        arguments: of the command.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.told_to_stop = threading.Event()
        self._command = [sys.executable, "-m", "bloge_worker", *arguments]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        self._worker = self._start()

    def restart(self) -> None:
        """End the worker, soon, and start the next."""
        for patience in (DRAIN_SECONDS, STOP_SECONDS):
            self._worker.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._worker.wait(patience)
                break
        else:
            self._worker.kill()
            self._worker.wait()
        if not self.told_to_stop.is_set():
            self._worker = self._start()

    def wait(self) -> int:
        """Return the worker's exit code once it has ended."""
        return self._worker.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        # A group of its own: a terminal's Ctrl-C would reach it twice, once from the terminal and once from here.
        return subprocess.Popen(self._command, process_group=0)  # noqa: S603 - this very command

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self.told_to_stop.set()
        self._worker.send_signal(number)
