"""A Redis or Valkey cluster: sends each command to the node of its key, and follows when keys move.

redis-py's own cluster client would do most of it, but sends ASKING on another connection than the command it is for,
WAIT to a node of its choice, and hears several nodes by asking them in turn.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis names them so
    MovedError,
    RedisError,
    TimeoutError,  # noqa: A004 - redis names them so
)

from bloge_server.store.nodes import Command, Node

_SLOTS = 16384
_REDIRECTIONS = 5
_MOST_ASKED = 3
"""Nodes that are asked who serves what, before a call is told that nobody answers."""
_ASKING = ("ASKING",)


class Address(NamedTuple):
    """Where a node listens."""

    host: str
    port: int


class Cluster:
    """Every master of a cluster.

    Args:
        seeds: nodes to begin with; the others are learned from them.
        node: makes the client of a node.
    """

    slots_move = True

    def __init__(self, seeds: Sequence[Address], node: Callable[[Address], Node]) -> None:
        self._seeds = list(seeds)
        self._make = node
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Address | None] = [None] * _SLOTS
        self._stale = True
        self._suspect: Address | None = None
        self._last_refusal = ""
        self._learning: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> Self:
        """Return it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()

    async def send(self, key: str, *commands: Command) -> list[Any]:
        """Send commands, as `Client` says. Only what a node refused because of the slot goes to another one."""
        slot = key_slot(key.encode())
        asked: Address | None = None
        for _ in range(_REDIRECTIONS):
            address = asked or await self._owner(slot)
            try:
                if asked is None:
                    return await self._node(address).send(key, *commands)
                return (await self._node(address).send(key, _ASKING, *commands))[1:]
            except MovedError as moved:
                asked = None
                self._owners[slot] = _redirected(moved, address)
            except AskError as ask:
                asked = _redirected(ask, address)
            except (ConnectionError, TimeoutError, ClusterDownError, OSError):
                self._stale, self._suspect = True, address
                raise
        raise ConnectionError(f"slot {slot} is on the move: no node serves it after {_REDIRECTIONS} redirections")

    async def send_each(self, commands: Sequence[Command]) -> list[Any]:
        """Send script calls, as `Client` says. Those of keys that have moved are sent one by one."""
        address = await self._owner(_slot_of(commands[0]))
        try:
            replies = await self._node(address).send_each(commands)
        except (ConnectionError, TimeoutError, OSError):
            self._stale, self._suspect = True, address
            raise
        return [
            await self._again(command) if isinstance(reply, MovedError | AskError) else reply
            for command, reply in zip(commands, replies, strict=True)
        ]

    def places_of(self, keys: Sequence[str]) -> list[list[int]]:
        """Return the positions of keys by the node that serves them, as far as is known."""
        places: defaultdict[Address | None, list[int]] = defaultdict(list)
        for index, key in enumerate(keys):
            places[self._owners[key_slot(key.encode())]].append(index)
        return list(places.values())

    async def _again(self, command: Command) -> Any:  # noqa: ANN401 - a reply, or what went wrong
        try:
            return (await self.send(str(command[3]), command))[0]
        except (RedisError, OSError) as error:
            return error

    async def masters(self) -> list[Node]:
        """Return every node that holds slots."""
        await self._learn_if_stale()
        return [self._node(address) for address in sorted({owner for owner in self._owners if owner})]

    async def places(self, channels: Iterable[str]) -> list[tuple[Node, list[str]]]:
        """Return where to listen to channels: one subscription may hold those of one slot."""
        by_slot: defaultdict[int, list[str]] = defaultdict(list)
        for channel in channels:
            by_slot[key_slot(channel.encode())].append(channel)
        return [(self._node(await self._owner(slot)), part) for slot, part in by_slot.items()]

    def distrust(self) -> None:
        """Ask again who serves what, before the next call."""
        self._stale = True

    async def aclose(self) -> None:
        """Close every connection."""
        if self._learning is not None:
            self._learning.cancel()
        await asyncio.gather(*(node.aclose() for node in self._nodes.values()))

    def _node(self, address: Address) -> Node:
        if address not in self._nodes:
            self._nodes[address] = self._make(address)
        return self._nodes[address]

    async def _owner(self, slot: int) -> Address:
        await self._learn_if_stale()
        owner = self._owners[slot]
        if owner is None:
            self._stale = True
            raise ClusterDownError(f"CLUSTERDOWN slot {slot} is served by nobody", status_code="CLUSTERDOWN")
        return owner

    async def _learn_if_stale(self) -> None:
        """Learn who serves what; all who need it meanwhile wait for the same answer."""
        if not self._stale:
            return
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())
        if not await asyncio.shield(self._learning):
            raise ConnectionError(f"no node tells who serves what: {self._last_refusal}")

    async def _learn(self) -> bool:
        for address in self._to_ask():
            try:
                (reply,) = await self._node(address).send("", ("CLUSTER", "SLOTS"))
            except (RedisError, OSError) as error:
                self._last_refusal = f"{address.host}:{address.port} says {error}"
                continue
            if reply:
                self._owners = _owners(reply, address)
                self._stale, self._suspect = False, None
                return True
            self._last_refusal = f"{address.host}:{address.port} knows of no slots"
        return False

    def _to_ask(self) -> list[Address]:
        """Return a few nodes, one that did not answer last."""
        known = list({*self._seeds, *(owner for owner in self._owners if owner)})
        random.shuffle(known)
        known.sort(key=lambda address: address == self._suspect)
        return known[:_MOST_ASKED]


def _slot_of(call: Command) -> int:
    return key_slot(str(call[3]).encode())


def _owners(reply: Sequence[Any], asked: Address) -> list[Address | None]:
    """Return the master of each slot from the reply to CLUSTER SLOTS; a node without a host is the asked one's."""
    owners: list[Address | None] = [None] * _SLOTS
    for first, last, (host, port, *_), *_ in reply:
        owner = Address(host.decode() if host else asked.host, int(port))
        owners[first : last + 1] = [owner] * (last + 1 - first)
    return owners


def _redirected(error: AskError, asked: Address) -> Address:
    return Address(error.host or asked.host, error.port)
