"""Processes of a benchmark: started, measured, stopped."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_START_SECONDS = 60
_STOP_SECONDS = 30
_POLL_SECONDS = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = os.sysconf("SC_CLK_TCK")


def family(pid: int, *, without: int = 0) -> list[int]:
    """Return a process and all its descendants, without one of them and its own; only itself if it is gone."""
    found = [pid]
    with suppress(OSError):  # it may end while we look
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                found += family(child, without=without) if child != without else []
    return found


def cpu_seconds(*pids: int) -> float:
    """Return the processor time that living processes have used so far, user and system."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
    return ticks / _TICK


def resident_bytes(*pids: int) -> int:
    """Return the memory that processes keep in RAM; pages they share count for each."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE


def stop(process: "subprocess.Popen[Any]") -> int:
    """End a process with SIGTERM, with SIGKILL if it does not listen; return its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(timeout=_STOP_SECONDS)


@dataclass(slots=True)
class Server:
    """A control plane with its data in a temporary directory."""

    address: str
    process: subprocess.Popen[bytes]
    store_pid: int
    """Of the embedded store; 0 if the store is another's."""
    folder: tempfile.TemporaryDirectory[str]
    http_address: str = ""

    @classmethod
    def start(cls, *flags: str, processes: int = 1) -> "Server":
        """Start one and wait until it serves.

        Args:
            flags: its flags.
            processes: how many share its port.

        Raises:
            RuntimeError: it does not; the message holds its last words.
        """
        folder = tempfile.TemporaryDirectory(prefix="bloge-load-")
        command = [sys.executable, "-m", "bloge_server", "--listen", "127.0.0.1:0", "--data-dir", folder.name]
        command += ["--http-listen", "127.0.0.1:0", "--processes", str(processes)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
        log = Path(folder.name, "server.log")  # a file: nobody has to read it for the server to go on
        with log.open("wb") as output:
            process = subprocess.Popen([*command, "--log-format", "json", *flags], stderr=output, env=environment)
        try:
            events = _until_serving(process, log, processes)
        except BaseException:
            stop(process)
            folder.cleanup()
            raise
        store_pid = events.get("embedded store started", {}).get("pid", 0)
        serving = events["serving"]
        return cls(serving["address"], process, store_pid, folder, serving["http_address"])

    def processes(self) -> dict[str, list[int]]:
        """Return the processes that belong to it now, by what they are."""
        servers = {"server": family(self.process.pid, without=self.store_pid)}
        return servers | ({"store": [self.store_pid]} if self.store_pid else {})

    def stop(self) -> None:
        """Stop it and remove its data."""
        stop(self.process)
        self.folder.cleanup()


def _until_serving(process: subprocess.Popen[bytes], log: Path, processes: int) -> dict[str, dict[str, Any]]:
    """Return what a server has logged by the time all its processes serve, by event."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        lines = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
        entries = [json.loads(line) for line in lines]
        if sum(entry["event"] == "serving" for entry in entries) == processes:
            return {entry["event"]: entry for entry in entries}
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the server does not serve: {log.read_text()[-2000:]}")
