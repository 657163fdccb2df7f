"""Stores of the tests' own on loopback TCP ports, which can be stopped, frozen and started again."""

import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from support.store_process import BINARY
from support.waiting import until

STOP_SECONDS = 30


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


class TcpStore:
    """A store process that keeps its port and its data through restarts.

    Args:
        folder: for its data; made if it does not exist.
        settings: its settings, beyond the port.
        port: where it listens; any free one if none is given.
    """

    def __init__(self, folder: Path, *settings: str, port: int | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.port = port or free_ports(1)[0]
        self._command = [BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += [
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
            "--repl-diskless-sync-delay",
            "0",
            *settings,
        ]
        self._log = folder / "store.log"
        self.admin = Redis(port=self.port, socket_timeout=5)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(self.answers, "the store answers")

    def answers(self) -> bool:
        """Return whether it answers."""
        try:
            return bool(self.admin.ping())
        except RedisError:
            return False

    def command(self, *command: str | int) -> Any:
        """Send a command; return what was answered, as it is."""
        return self.admin.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    def info(self, section: str) -> dict[str, Any]:
        """Return what it says of itself."""
        found: dict[str, Any] = self.admin.info(section)
        return found

    def freeze(self) -> None:
        """Stop its clock: it keeps its connections and says nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def close(self) -> None:
        """End it if it runs, frozen or not, and let go of it."""
        if self.process is not None:
            self.thaw()
            self.kill()
        self.admin.close()

    def _end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=STOP_SECONDS)
        self.process = None
