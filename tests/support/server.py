"""Real control planes in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

START_SECONDS = 30
STOP_SECONDS = 30


class ServerProcess:
    """A `bloge-server`, and what it logs.

    Args:
        flags: its flags; free ports on loopback unless they say otherwise.
    """

    def __init__(self, *flags: str) -> None:
        free = {"--listen": "127.0.0.1:0", "--http-listen": "127.0.0.1:0"}
        listen = [word for flag, address in free.items() if flag not in flags for word in (flag, address)]
        command = [sys.executable, "-m", "bloge_server", "--log-format", "json", *listen, *flags]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.log: list[dict[str, Any]] = []
        self.address = self.http_address = ""
        self.data_dir = Path(flags[flags.index("--data-dir") + 1]) if "--data-dir" in flags else Path()
        self._events: Queue[dict[str, Any]] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            entry = json.loads(line) if line.startswith("{") else {"event": line.rstrip()}
            self.log.append(entry)
            self._events.put(entry)
        self._events.put({"event": "ended"})

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next log entry of an event; fail if the server ends first."""
        while True:
            entry = self._events.get(timeout=START_SECONDS)
            if entry["event"] == event:
                return entry
            if entry["event"] == "ended":
                raise AssertionError(f"the server ended before {event!r}: {self.log}")

    def serving(self) -> str:
        """Wait until it serves; return its address."""
        told = self.wait_for("serving")
        self.address, self.http_address = told["address"], told["http_address"]
        return self.address

    @contextmanager
    def store_paused(self) -> Iterator[None]:
        """Have its embedded store stand still."""
        (store,) = [entry["pid"] for entry in self.log if entry["event"] == "embedded store started"]
        os.kill(store, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(store, signal.SIGCONT)

    def freeze(self) -> None:
        """Stop its clock: it keeps its connections and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait(timeout=STOP_SECONDS)
        self._close()

    def stop(self) -> int:
        """End it with SIGTERM; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=STOP_SECONDS)
        self._close()
        return code

    def _close(self) -> None:
        self._reader.join(timeout=STOP_SECONDS)
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def running_process(data_dir: Path, *flags: str) -> Iterator[ServerProcess]:
    """Yield a control plane that serves, on an embedded store; stop both afterwards."""
    server = ServerProcess("--data-dir", str(data_dir), *flags)
    try:
        server.serving()
        yield server
    finally:
        server.stop()


@contextmanager
def running_server(data_dir: Path, *flags: str) -> Iterator[str]:
    """Yield the address of a control plane on an embedded store; stop both afterwards."""
    with running_process(data_dir, *flags) as server:
        yield server.address
