"""A store of one node: a single server, or the master that Sentinel names."""

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError

Argument = str | bytes | int | float
Command = Sequence[Argument]

MAX_CALLS = 200
"""Calls at a time on one node; more wait for their turn."""
MAX_CONNECTIONS = 256
"""On one node: more than there are calls, because a pool refuses what goes beyond them, and wake-ups need one too."""


class Client(Protocol):
    """A way to a store, whatever it consists of."""

    slots_move: bool
    """Whether keys may move from node to node."""

    async def send(self, key: str, *commands: Command) -> list[Any]:
        """Send commands to the node of a key, one right after the other on one connection; return their replies.

        No command is sent again once it may have been carried out.

        Raises:
            RedisError: what the first command that failed was answered, or the node cannot be reached.
            OSError: it cannot be reached.
        """

    async def send_each(self, commands: Sequence[Command]) -> list[Any]:
        """Send script calls whose keys `places_of` put in one place; an error stands in place of the reply that it is.

        Raises:
            RedisError: the node cannot be reached.
            OSError: it cannot be reached.
        """

    def places_of(self, keys: Sequence[str]) -> list[list[int]]:
        """Return the positions of keys in parts: those of one part are on one node, as far as is known."""

    async def masters(self) -> "list[Node]":
        """Return every node that holds keys."""

    async def places(self, channels: Iterable[str]) -> "list[tuple[Node, list[str]]]":
        """Return where to listen to channels: each part is one subscription on one node."""

    def distrust(self) -> None:
        """Note that keys may have moved."""

    async def aclose(self) -> None:
        """Close every connection."""


class Node:
    """One node.

    Args:
        redis: a client of it that repeats nothing by itself and returns bytes.
        timeout_seconds: how long a call waits for its turn.
    """

    slots_move = False

    def __init__(self, redis: "Redis", timeout_seconds: float = 5.0) -> None:
        self.redis = redis
        self._timeout_seconds = timeout_seconds
        self._turns = asyncio.Semaphore(MAX_CALLS)

    async def __aenter__(self) -> Self:
        """Return it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()

    async def send(self, key: str, *commands: Command) -> list[Any]:  # noqa: ARG002 - one node has every key
        """Send commands, as `Client` says."""
        await self._take_turn()
        try:
            return await self._send(commands)
        except ReadOnlyError:
            # It is a replica now. A name that leads to the new master is looked up by new connections only.
            await self.redis.connection_pool.disconnect(inuse_connections=False)
            raise
        finally:
            self._turns.release()

    async def send_each(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands, as `Client` says."""
        await self._take_turn()
        try:
            return await self._pipeline(commands)
        finally:
            self._turns.release()

    def places_of(self, keys: Sequence[str]) -> list[list[int]]:
        """Return that everything is here."""
        return [list(range(len(keys)))]

    async def masters(self) -> "list[Node]":
        """Return itself."""
        return [self]

    async def places(self, channels: Iterable[str]) -> "list[tuple[Node, list[str]]]":
        """Return that everything is heard here."""
        return [(self, list(channels))]

    def distrust(self) -> None:
        """Do nothing: there is nowhere else."""

    async def aclose(self) -> None:
        """Close every connection."""
        await self.redis.aclose()

    async def _take_turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        async with asyncio.timeout(self._timeout_seconds):
            await self._turns.acquire()

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        if len(commands) == 1:
            return [await self.redis.execute_command(*commands[0])]  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        replies = await self._pipeline(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            replies: list[Any] = await pipe.execute(raise_on_error=False)
        return replies
