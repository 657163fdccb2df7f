"""A server of several processes that share its port."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from support.server import ServerProcess
from support.wire import Wire

PROCESSES = 2


class Shared:
    """A server of two processes on an embedded store."""

    def __init__(self, data_dir: Path, *flags: str) -> None:
        flags = ("--data-dir", str(data_dir), "--drain-seconds", "0", "--processes", str(PROCESSES), *flags)
        self.server = ServerProcess(*flags)
        self.serving: dict[int, dict[str, Any]] = {}

    def wait_until_all_serve(self) -> str:
        """Return the address that they share."""
        while len(self.serving) < PROCESSES:
            told = self.server.wait_for("serving")
            self.serving[told["process"]] = told
        (address,) = {told["address"] for told in self.serving.values()}
        assert isinstance(address, str)
        return address

    def pids(self) -> dict[int, int]:
        """Return the processes by number, the latest of each."""
        return {entry["process"]: entry["pid"] for entry in self.server.log if entry["event"] == "process started"}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    """Yield a server of two processes; end them and their store."""
    found = Shared(tmp_path)
    yield found
    found.server.stop()


def metric(address: str, name: str) -> float:
    """Return a metric without labels of the process that serves HTTP there."""
    with urlopen(f"http://{address}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_processes_share_a_port_and_a_store(shared: Shared) -> None:
    """Connections go to both, and what one takes the other hands out; each has an HTTP port and metrics of its own."""
    address = shared.wait_until_all_serve()
    pages = [told["http_address"] for told in shared.serving.values()]
    assert len(set(pages)) == PROCESSES
    reached = 0
    while not all(
        metric(page, "bloge_enqueued_total") for page in pages
    ):  # where a connection goes is the kernel's choice
        with Wire(address, "ns") as wire:
            wire.put(f"item-{reached}")
        reached += 1
    with Wire(address, "ns") as wire:
        assert len(wire.claim(reached)) == reached
    assert shared.server.stop() == 0
    assert shared.server.log[-1]["event"] == "all processes stopped"


def test_a_process_that_died_is_replaced(shared: Shared) -> None:
    """The other one goes on meanwhile; nothing that was acknowledged is gone."""
    address = shared.wait_until_all_serve()
    with Wire(address, "ns") as wire:
        wire.put("a")
    os.kill(shared.pids()[0], signal.SIGKILL)
    assert shared.server.wait_for("a process died; starting another")["process"] == 0
    assert shared.server.wait_for("serving")["process"] == 0
    os.kill(shared.pids()[1], signal.SIGKILL)
    shared.server.wait_for("a process died; starting another")
    with Wire(address, "ns") as wire:
        assert [lease.spec.item_id for lease in wire.claim()] == ["a"]


def test_processes_end_with_their_supervisor(tmp_path: Path) -> None:
    """A killed supervisor leaves nobody behind who serves: the next server gets the port and the store."""
    first = Shared(tmp_path)
    address = first.wait_until_all_serve()
    with Wire(address, "ns") as wire:
        wire.put("a")
    first.server.process.kill()
    first.server.wait_for("ended")  # the last of them has closed the log
    first.server.kill()
    second = Shared(tmp_path, "--listen", address)
    try:
        assert second.wait_until_all_serve() == address
        with Wire(address, "ns") as wire:
            assert wire.status("a") == "READY"
    finally:
        second.server.stop()


def refusal(*flags: str) -> str:
    """Return what a server that cannot start says at last."""
    command = [sys.executable, "-m", "bloge_server", "--log-format", "json", "--processes", "2", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_port_that_others_share_is_taken_all_the_same(shared: Shared, tmp_path: Path) -> None:
    """Another server never joins in by accident."""
    address = shared.wait_until_all_serve()
    told = refusal("--data-dir", str(tmp_path / "other"), "--listen", address)
    assert f"--listen {address}: cannot listen there" in told


def test_a_taken_http_port_ends_all(tmp_path: Path) -> None:
    """Nobody serves without the page that operators look for; the log names it."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        page = f"127.0.0.1:{busy.getsockname()[1]}"
        told = refusal("--data-dir", str(tmp_path), "--listen", "127.0.0.1:0", "--http-listen", page)
    assert f"--http-listen {page}: cannot listen there" in told
    # The one beside it may find its own port, the next one, taken as well, and be the one that is named.
    assert re.search(r"--processes: process \d cannot start", told)
    with suppress(FileNotFoundError):
        assert not Path(f"/proc/{(tmp_path / 'store.pid').read_text().strip()}").exists()


@pytest.mark.parametrize("flag", ["--listen", "--http-listen"])
def test_a_unix_socket_cannot_be_shared(flag: str, tmp_path: Path) -> None:
    """It is said before anything starts."""
    told = refusal("--data-dir", str(tmp_path), flag, f"unix:{tmp_path}/socket")
    assert "--processes" in told
    assert "cannot share a unix socket" in told
