"""A cluster of the tests' own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.exceptions import ResponseError

from support.tcp_store import TcpStore, free_ports
from support.waiting import until

_SLOTS = 16384


class ClusterProcesses:
    """Masters that share the slots evenly."""

    def __init__(self, folder: Path, size: int) -> None:
        self._bus_ports = free_ports(size)
        self.nodes = [
            TcpStore(
                folder / f"node-{number}",
                *("--cluster-enabled", "yes", "--cluster-port", str(bus_port), "--cluster-node-timeout", "2000"),
                *("--appendonly", "no"),
            )
            for number, bus_port in enumerate(self._bus_ports)
        ]

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
                return next(node for node in self.nodes if node.port == port)
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
        for node in self.nodes:
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
