"""The processes of a run: each is started again when it dies, until the run ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from chaos.history import Recorder
from chaos.layout import SERVER_FLAGS, WORKERS
from support.store_process import BINARY

_PING_SECONDS = 0.1
_RESTART_SECONDS = 0.2
_STOP_SECONDS = 10.0


class Supervised:
    """One process after another, each a life.

    Args:
        name: for the history.
        command: its command line; a worker is told the number of its life besides.
        log: file that takes what it prints.
        recorder: the history.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, recorder: Recorder) -> None:
        self.name = name
        self.life = 0
        self._command = command
        self._log = log
        self._recorder = recorder
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._signalled: float | None = None

    def start(self) -> None:
        """Start it and keep it alive."""
        self._keeping = asyncio.create_task(self._keep())

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; return whether there was a process to send it to."""
        process = self._process
        if process is None or process.returncode is not None:
            return False
        if number == signal.SIGKILL:
            self._signalled = monotonic()
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return False
        return True

    async def stop(self) -> None:
        """End it and do not start it again."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _keep(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
        while True:
            self.life += 1
            life = [str(self.life)] if self.name in WORKERS else []
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, *life, stdout=log, stderr=subprocess.STDOUT, env=environment
                )
            began = monotonic()
            code = await self._process.wait()
            told = {"process": self.name, "life": self.life, "code": code, "lived_s": round(monotonic() - began, 3)}
            self._recorder.event("died", told, start=self._signalled)
            self._signalled = None
            await asyncio.sleep(_RESTART_SECONDS)


def free_port() -> int:
    """Return a port of the loopback interface that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def is_answering(port: int) -> bool:
    """Return whether the store answers a PING, and does not stand still or read its file."""
    try:
        async with asyncio.timeout(_PING_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"PING\r\n")
                return await reader.readline() == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


def store_command(folder: Path, port: int) -> list[str]:
    """Return how to start a store that has written everything that it acknowledged."""
    command = [BINARY, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    return [*command, "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"]


def server_command(port: int, store_address: str) -> list[str]:
    """Return how to start a control plane."""
    listen = ["--listen", f"127.0.0.1:{port}", "--redis-url", f"redis://{store_address}", "--log-format", "json"]
    listen += ["--http-listen", "off"]
    return [sys.executable, "-m", "bloge_server", *listen, *SERVER_FLAGS]
