"""A master, a replica and a Sentinel of the tests' own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from support.store_process import BINARY
from support.tcp_store import TcpStore, free_ports
from support.waiting import until

SERVICE = "store"


class SentinelProcesses:
    """One Sentinel decides alone, so failovers take as long as its patience: half a second."""

    def __init__(self, folder: Path) -> None:
        self.master = TcpStore(folder / "master")
        self.replica = TcpStore(folder / "replica", "--replicaof", f"127.0.0.1 {self.master.port}")
        (self.port,) = free_ports(1)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.admin = Redis(port=self.port, socket_timeout=5)

    @property
    def url(self) -> str:
        """The store's address; the first Sentinel of it does not exist."""
        (nobody,) = free_ports(1)
        return f"redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{self.port}/{SERVICE}"

    def start(self) -> None:
        """Start everything and wait until a failover could happen."""
        self.master.start()
        self.replica.start()
        until(lambda: self.replica.info("replication")["master_link_status"] == "up", "the replica follows")
        config = self._folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 3000\n"
        )
        with (self._folder / "sentinel.log").open("wb") as log:
            self._process = subprocess.Popen([BINARY, str(config), "--sentinel"], stdout=log, stderr=log)
        until(self._knows_the_replica, "the Sentinel knows the replica")

    def master_port(self) -> int:
        """Return the port of the master that the Sentinel names."""
        address: Any = self.admin.sentinel_get_master_addr_by_name(SERVICE)
        return int(address[1])

    def fail_over(self) -> None:
        """Make the replica the master, though the master lives; wait until it is."""
        until(self._begins_failover, "the Sentinel finds the replica good enough")
        until(lambda: self.master_port() == self.replica.port, "the replica is the master")

    def _begins_failover(self) -> bool:
        try:
            return bool(self.admin.execute_command("SENTINEL FAILOVER", SERVICE))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except ResponseError as error:
            if "NOGOODSLAVE" not in str(error):
                raise
            return False

    def _knows_the_replica(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.skip(f"{BINARY} cannot be a Sentinel")
        try:
            return len(self.admin.sentinel_slaves(SERVICE)) == 1
        except RedisError:
            return False

    def close(self) -> None:
        """End everything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
        self.admin.close()
        self.replica.close()
        self.master.close()


@contextmanager
def running_sentinel(folder: Path) -> Iterator[SentinelProcesses]:
    """Yield a store that a Sentinel watches; stop everything afterwards."""
    processes = SentinelProcesses(folder)
    try:
        processes.start()
        yield processes
    finally:
        processes.close()
