"""A cluster of the tests' own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.exceptions import ResponseError

from support.tcp_store import TcpStore, free_ports
from support.waiting import until

_SLOTS = 16384


_SETTINGS = {
    "cluster-enabled": "yes",
    "cluster-node-timeout": "2000",
    "cluster-require-full-coverage": "no",
    "appendonly": "no",
}


class ClusterProcesses:
    """Masters that share the slots evenly."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._bus_ports = free_ports(size)
        self.nodes = [self._node(f"node-{number}", port) for number, port in enumerate(self._bus_ports)]
        self.replicas: list[TcpStore] = []

    def _node(self, name: str, bus_port: int) -> TcpStore:
        settings = {**_SETTINGS, "cluster-port": str(bus_port)}
        return TcpStore(self._folder / name, *(part for key, value in settings.items() for part in (f"--{key}", value)))

    @property
    def url(self) -> str:
        """Address of all nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        """Start the nodes and make them a cluster."""
        for node in self.nodes:
            node.start()
        share = -(-_SLOTS // len(self.nodes))
        for number, node in enumerate(self.nodes):
            first = number * share
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.command("CLUSTER", "ADDSLOTSRANGE", first, min(first + share, _SLOTS) - 1)
        for other, bus_port in zip(self.nodes[1:], self._bus_ports[1:], strict=True):
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", other.port, bus_port)
        until(self.agreed, "the nodes form a cluster")

    def add_replica(self, master: TcpStore) -> TcpStore:
        """Start a replica of a node and wait until it can take over."""
        (bus_port,) = free_ports(1)
        replica = self._node("replica", bus_port)
        self.replicas.append(replica)
        replica.start()
        replica.command("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port, self._bus_ports[0])
        until(lambda: self._knows(replica, master), "the replica knows its master")
        replica.command("CLUSTER", "REPLICATE", node_id(master))
        until(lambda: replica.info("replication").get("master_link_status") == "up", "the replica follows")
        until(lambda: all(self._knows(node, replica) for node in self.nodes), "all know the replica")
        return replica

    def _knows(self, node: TcpStore, other: TcpStore) -> bool:
        return node_id(other) in _text(node.command("CLUSTER", "NODES"))

    def agreed(self) -> bool:
        """Return whether every node knows all others and all slots."""
        for node in self.nodes:
            told: bytes = node.command("CLUSTER", "INFO")
            facts = dict(line.split(":") for line in _text(told).split())
            if facts["cluster_state"] != "ok" or int(facts["cluster_size"]) != len(self.nodes):
                return False
        return True

    def node_of(self, slot: int, asked: TcpStore | None = None) -> TcpStore:
        """Return the node that serves a slot, as the asked one (the first) sees it."""
        for first, last, (_, port, *_), *_ in (asked or self.nodes[0]).command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in (*self.nodes, *self.replicas) if node.port == port)
        raise AssertionError(f"nobody serves slot {slot}")

    def other_than(self, node: TcpStore) -> TcpStore:
        """Return a node that is not this one."""
        return next(each for each in self.nodes if each is not node)

    def begin_move(self, slot: int, target: TcpStore) -> None:
        """Begin to move a slot key by key."""
        source = self.node_of(slot)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))

    def move_keys(self, slot: int, target: TcpStore, most: int = 1000) -> int:
        """Move keys of a slot that is on the move; return how many."""
        source = self.node_of(slot)
        found: list[bytes] = source.command("CLUSTER", "GETKEYSINSLOT", slot, most)
        if found:
            names = [each.decode() for each in found]
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)
        return len(found)

    def end_move(self, slot: int, target: TcpStore) -> None:
        """Tell every node that a slot has moved."""
        for node in (target, *(each for each in self.nodes if each is not target)):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", node_id(target))

    def move_at_once(self, slot: int, target: TcpStore) -> bool:
        """Move a slot as a whole; return whether the nodes can do that."""
        try:
            self.node_of(slot).command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", node_id(target))
        except ResponseError as error:
            if "unknown" not in str(error).lower():
                raise
            return False
        until(lambda: all(self.node_of(slot, node) is target for node in self.nodes), "the slot has moved")
        return True

    def close(self) -> None:
        """End every node."""
        for node in (*self.nodes, *self.replicas):
            node.close()


def node_id(node: TcpStore) -> str:
    """Return the name of a node among the others."""
    return _text(node.command("CLUSTER", "MYID"))


def _text(answer: str | bytes) -> str:
    return answer.decode() if isinstance(answer, bytes) else answer


@contextmanager
def running_cluster(folder: Path, size: int = 3) -> Iterator[ClusterProcesses]:
    """Yield a cluster; stop it afterwards."""
    processes = ClusterProcesses(folder, size)
    try:
        processes.start()
        yield processes
    finally:
        processes.close()
