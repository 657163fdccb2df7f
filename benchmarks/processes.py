"""Processes of a benchmark: started, measured, stopped."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

_STOP_SECONDS = 30


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used so far, user and system."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Server:
    """A control plane on an embedded store in a temporary directory."""

    address: str
    process: subprocess.Popen[str]
    store_pid: int
    folder: tempfile.TemporaryDirectory[str]

    @classmethod
    def start(cls, *flags: str) -> "Server":
        """Start one and wait until it serves."""
        folder = tempfile.TemporaryDirectory(prefix="bloge-load-")
        command = [sys.executable, "-m", "bloge_server", "--listen", "127.0.0.1:0", "--data-dir", folder.name]
        process = subprocess.Popen([*command, "--log-format", "json", *flags], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        pid = 0
        for line in process.stderr:
            entry = json.loads(line)
            if entry["event"] == "embedded store started":
                pid = entry["pid"]
            if entry["event"] == "serving":
                # A server whose log nobody reads stands still once the pipe is full.
                threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
                return cls(entry["address"], process, pid, folder)
        raise RuntimeError(f"the server ended with code {process.wait()}")

    def stop(self) -> None:
        """Stop it and remove its data."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=_STOP_SECONDS)
        self.folder.cleanup()


@dataclass(slots=True)
class LoadWorker:
    """A worker process of the load."""

    process: subprocess.Popen[str]
    ran_file: Path

    @classmethod
    def start(cls, address: str, slots: int, ran_file: Path) -> "LoadWorker":
        """Start one."""
        command = [sys.executable, "-m", "benchmarks.load_worker", "--address", address, "--slots", str(slots)]
        process = subprocess.Popen([*command, "--ran", str(ran_file)], stdout=subprocess.PIPE, text=True)
        return cls(process, ran_file)

    def stop(self) -> list[str]:
        """Drain it; return the ids that its handler ran, one for each run."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=_STOP_SECONDS)
        return self.ran_file.read_text().splitlines()
