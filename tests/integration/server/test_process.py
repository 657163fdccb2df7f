"""The server as a process: how it starts, ends, dies and comes back."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from support.server import ServerProcess
from support.store_process import running_store
from support.wire import Wire, refused

NOTHING_ELSE = ("--drain-seconds", "0")


Start = Callable[..., ServerProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts a server on a directory; whatever a failed test leaves running is killed."""
    servers: list[tuple[ServerProcess, Path]] = []

    def started(data_dir: Path, *flags: str) -> ServerProcess:
        server = ServerProcess("--data-dir", str(data_dir), *NOTHING_ELSE, *flags)
        servers.append((server, data_dir / "store.pid"))
        return server

    yield started
    for server, pid_file in servers:
        if server.process.poll() is None:
            server.kill()
        if pid_file.is_file() and is_store(pid := int(pid_file.read_text())):
            os.kill(pid, signal.SIGKILL)


def refusal(*flags: str) -> str:
    """Return what a server that cannot start says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BLOGE_")}
    command = [sys.executable, "-m", "bloge_server", "--log-format", "json", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("bloge-server: ") or "\nbloge-server: " in ended.stderr
    return ended.stderr


def store_pid(server: ServerProcess) -> int:
    """Return the process of a server's embedded store."""
    (pid,) = [entry["pid"] for entry in server.log if str(entry["event"]).startswith("embedded store")]
    assert isinstance(pid, int)
    return pid


def is_store(pid: int) -> bool:
    """Return whether a process is a running store; one that ended and was not collected yet is none."""
    try:
        return b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_terminated_server_ends_cleanly_and_so_does_its_store(tmp_path: Path, start: Start) -> None:
    """SIGTERM: exit code 0, nothing left running; the data is there for the next start, on a unix socket this time."""
    server = start(tmp_path)
    with Wire(server.serving(), "ns") as wire:
        wire.put("a", payload=b"in")
    pid = store_pid(server)
    assert is_store(pid)
    assert server.stop() == 0
    assert not is_store(pid)
    assert [entry["event"] for entry in server.log[-3:]] == ["stopping", "embedded store stopped", "stopped"]
    again = start(tmp_path, "--listen", f"unix:{tmp_path}/api.sock")
    with Wire(again.serving(), "ns") as wire:
        assert wire.get().spec.payload == b"in"
    assert again.stop() == 0


def test_a_killed_servers_store_is_adopted(tmp_path: Path, start: Start) -> None:
    """SIGKILL leaves the store running: the next server on the directory takes it over, with what its flags say."""
    server = start(tmp_path)
    with Wire(server.serving(), "ns") as wire:
        wire.put("a", "b")
        lease = wire.claim_one()
    pid = store_pid(server)
    server.kill()
    assert is_store(pid)
    again = start(tmp_path, "--appendfsync", "always")
    assert again.wait_for("embedded store adopted")["pid"] == pid
    with Wire(again.serving(), "ns") as wire:
        assert wire.complete(lease)[0].reason == 0
        assert wire.status("b") == "READY"
    with Redis(unix_socket_path=str(tmp_path / "store.sock"), decode_responses=True) as admin:
        assert admin.config_get("appendfsync") == {"appendfsync": "always"}
    assert again.stop() == 0
    assert not is_store(pid)


def test_somebody_elses_store_is_not_adopted(tmp_path: Path, start: Start) -> None:
    """After a reboot the process id that we noted may be another server's store: it is neither used nor stopped."""
    (tmp_path / "theirs").mkdir()
    with running_store(tmp_path / "theirs") as url, Redis.from_url(url, decode_responses=True) as theirs:
        data_dir = tmp_path / "ours"
        data_dir.mkdir()
        (data_dir / "store.pid").write_text(f"{theirs.info('server')['process_id']}\n")
        server = start(data_dir)
        server.wait_for("embedded store started")
        server.serving()
        assert server.stop() == 0
        assert theirs.ping()


def test_an_acknowledged_item_outlives_server_and_store(tmp_path: Path, start: Start) -> None:
    """With `always`, what was answered is on disk, whatever is killed and whenever (promise L4)."""
    server = start(tmp_path, "--appendfsync", "always")
    with Wire(server.serving(), "ns") as wire:
        wire.put("a", payload=b"in")
    server.kill()
    os.kill(store_pid(server), signal.SIGKILL)
    again = start(tmp_path, "--appendfsync", "always")
    with Wire(again.serving(), "ns") as wire:
        assert wire.get().spec.payload == b"in"
        assert [lease.spec.item_id for lease in wire.claim()] == ["a"]
    assert again.stop() == 0


def test_a_dead_store_is_told_and_not_hidden(tmp_path: Path, start: Start) -> None:
    """Calls answer that the store is gone and when to try again."""
    server = start(tmp_path)
    with Wire(server.serving(), "ns") as wire:
        os.kill(store_pid(server), signal.SIGKILL)
        with refused() as told:
            while True:
                wire.claim()
    server.stop()
    assert told[0].reason is Reason.STORE_UNAVAILABLE
    assert told[0].retry_delay_seconds


def test_a_store_that_died_is_started_again(tmp_path: Path, start: Start) -> None:
    """The server says so, goes on with everything that was acknowledged, and stops the new one at its end."""
    server = start(tmp_path, "--appendfsync", "always")
    with Wire(server.serving(), "ns") as wire:
        wire.put("a", payload=b"in")
        os.kill(store_pid(server), signal.SIGKILL)
        assert server.wait_for("embedded store died; starting it again")["level"] == "error"
        pid = server.wait_for("embedded store started")["pid"]
        assert wire.get().spec.payload == b"in"
        assert [lease.spec.item_id for lease in wire.claim()] == ["a"]
    assert server.stop() == 0
    assert not is_store(pid)


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path, start: Start) -> None:
    """And the first goes on."""
    server = start(tmp_path)
    address = server.serving()
    told = refusal("--data-dir", str(tmp_path), "--listen", "127.0.0.1:0")
    assert f"data directory {tmp_path} is in use by another server" in told
    assert "--redis-url" in told
    with Wire(address, "ns") as wire:
        wire.put("a")
    assert server.stop() == 0


def test_a_taken_port_is_refused_and_the_store_stopped(tmp_path: Path) -> None:
    """Nothing is left running by a start that failed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refusal("--data-dir", str(tmp_path), "--listen", f"127.0.0.1:{port}")
    assert f"--listen 127.0.0.1:{port}" in told
    assert "is the port taken" in told
    assert not is_store(int((tmp_path / "store.pid").read_text()))


def test_strangers_are_not_served_by_accident(tmp_path: Path) -> None:
    """An address beyond this machine needs `--insecure`."""
    assert "--insecure" in refusal("--data-dir", str(tmp_path), "--listen", "0.0.0.0:0")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--redis-url", "unix:///nowhere/store.sock"), "cannot be reached"),
        (("--redis-url", "http://localhost"), "must begin with"),
        (("--data-dir", "/proc/none"), "cannot be used"),
        (("--data-dir", "/dev/null/data"), "Not a directory"),
        (("--config", "/nowhere/server.toml"), "cannot be read"),
    ],
)
def test_a_start_that_cannot_work_says_why(flags: tuple[str, ...], expected: str) -> None:
    """With exit code 1 and no traceback."""
    assert expected in refusal(*flags, "--listen", "127.0.0.1:0")


def test_all_bad_flags_are_told_at_once() -> None:
    """Each with what is allowed."""
    told = refusal("--lease-seconds", "0", "--ping-seconds", "x", "--log-level", "loud")
    assert all(flag in told for flag in ("--lease-seconds", "--ping-seconds", "--log-level"))


def test_a_store_that_may_evict_is_refused(tmp_path: Path) -> None:
    """With the command that mends it."""
    with running_store(tmp_path, "--maxmemory-policy", "allkeys-lru") as url:
        told = refusal("--redis-url", url, "--listen", "127.0.0.1:0")
    assert "CONFIG SET maxmemory-policy noeviction" in told


def test_a_data_directory_without_space_is_told(tmp_path: Path) -> None:
    """A start on a full disk ends with the store's own words, and leaves nothing running."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    try:
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        told = refusal("--data-dir", str(disk), "--listen", "127.0.0.1:0")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert "space" in told.lower()


def test_a_stopping_server_asks_its_sessions_to_leave(tmp_path: Path, start: Start) -> None:
    """Held work can still be reported during the grace; new sessions are sent elsewhere."""
    server = start(tmp_path, "--drain-seconds", "30")
    with Wire(server.serving(), "ns") as wire, wire.session(credit=5) as session:
        wire.put("a")
        (lease,) = session.leases(1)
        server.process.send_signal(signal.SIGTERM)
        draining = session.expect("draining")
        assert draining.grace.seconds == 30
        with refused() as told:
            wire.session("w2")
        assert told[0].reason is Reason.SERVER_DRAINING
        wire.put("b")
        session.settle()
        assert [item.spec.item_id for item in wire.claim(worker="w3", wait=20)] == ["b"]
        assert wire.complete(lease)[0].reason == 0
        session.close()
        assert [frame for frame in session.rest() if frame.WhichOneof("frame") == "offers"] == []
    assert server.stop() == 0


def test_a_silent_worker_is_taken_for_dead(tmp_path: Path, start: Start) -> None:
    """Its session ends; a worker that pings keeps its own."""
    server = start(tmp_path, "--ping-seconds", "0.1", "--silence-seconds", "0.5")
    with Wire(server.serving(), "ns") as wire, wire.session("silent") as silent, wire.session("alive") as alive:
        silence = silent.rest
        ended = False
        while not ended:
            alive.send(pb.WorkRequest(ping=pb.Ping(answer=alive.expect("ping").ping_id)))
            ended = any(entry["event"] == "session closed" for entry in server.log)
        assert {frame.WhichOneof("frame") for frame in silence()} == {"ping"}
        alive.settle(99)
        closed = [entry["worker_id"] for entry in server.log if entry["event"] == "session closed"]
        assert closed == ["silent"]
    server.stop()


def test_a_session_ends_with_its_connection(tmp_path: Path, start: Start) -> None:
    """The server forgets a worker whose stream broke off, without waiting for its silence."""
    server = start(tmp_path)
    with Wire(server.serving(), "ns") as wire:
        with wire.session("gone", credit=9):
            pass
        assert server.wait_for("session closed")["worker_id"] == "gone"
        wire.put("a")
        assert [lease.spec.item_id for lease in wire.claim(worker="w2", wait=20)] == ["a"]
    server.stop()
