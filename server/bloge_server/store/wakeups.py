"""Hears what the scripts herald: one sharded channel a topic, wherever its node is, interruptions mended by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError, RedisError  # noqa: A004 - redis names them so

from bloge_server.store import keys
from bloge_server.store.keys import Topic
from bloge_server.store.nodes import Client, Node

_RETRY_SECONDS = 0.2
_PING_SECONDS = 2.0
"""After this much silence a connection is asked for a sign of life; after as much again it is taken for dead."""

_log = structlog.get_logger(__name__)


class WakeListener:
    """Listens to the topics it is told to watch.

    Args:
        client: the store's client; the listener takes one connection of its own on each node.
        on_lines: called with a topic and the lines heralded there.
        on_heard: called with a topic whenever a subscription to it begins to stand, the first time and after each
            interruption: what was heralded before was not heard.
    """

    def __init__(
        self, client: Client, on_lines: Callable[[Topic, list[str]], None], on_heard: Callable[[Topic], None]
    ) -> None:
        self._client = client
        self._on_lines = on_lines
        self._on_heard = on_heard
        self._wanted: set[str] = set()
        self._placed: dict[str, Node] = {}
        """Where a subscription stands or is on its way."""
        self._ears: dict[Node, _Ear] = {}
        self._changed = asyncio.Event()
        self._interrupted = False
        self._told_cause = ""

    def watch(self, topics: Iterable[Topic]) -> None:
        """Listen to these topics too."""
        new = {keys.wake_channel(*topic) for topic in topics} - self._wanted
        if new:
            self._wanted |= new
            self._changed.set()

    def forget(self, topics: Iterable[Topic]) -> None:
        """Listen to these topics no more."""
        gone = {keys.wake_channel(*topic) for topic in topics} & self._wanted
        if gone:
            self._wanted -= gone
            self._changed.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._interrupted:
                    self._interrupted = False
                    await asyncio.sleep(_RETRY_SECONDS)
                await self._place()
        finally:
            await asyncio.gather(*(ear.close() for ear in self._ears.values()))

    async def _place(self) -> None:
        """Subscribe to what has no subscription yet, and end those that nobody wants any more."""
        for channel in self._placed.keys() - self._wanted:
            await self._unsubscribe(channel)
        missing = self._wanted - self._placed.keys()
        try:
            for node, channels in await self._client.places(missing) if missing else ():
                await self._subscribe(node, channels)
        except (RedisError, OSError) as error:
            self._mend(error)

    async def _subscribe(self, node: Node, channels: list[str]) -> None:
        ear = self._ears.get(node)
        if ear is None:
            ear = self._ears[node] = _Ear(node, self._take, self._lost)
        self._placed.update(dict.fromkeys(channels, node))
        try:
            await ear.subscribe(channels)
        except (RedisError, OSError) as error:
            self._lost(ear, error)
            await ear.close()

    async def _unsubscribe(self, channel: str) -> None:
        node = self._placed.pop(channel, None)  # gone, if its connection broke meanwhile
        ear = self._ears.get(node) if node is not None else None
        if ear is None:
            return
        try:
            await ear.unsubscribe(channel)
        except (RedisError, OSError) as error:
            self._lost(ear, error)
            await ear.close()

    def _lost(self, ear: "_Ear", error: Exception) -> None:
        """Forget a connection that ended, and what was heard on it."""
        if self._ears.get(ear.node) is not ear:
            return
        del self._ears[ear.node]
        self._placed = {channel: node for channel, node in self._placed.items() if node is not ear.node}
        self._mend(error)

    def _mend(self, error: Exception) -> None:
        if str(error) != self._told_cause:  # once, not at each attempt of a long outage
            self._told_cause = str(error)
            _log.warning("wake-ups interrupted", error=self._told_cause)
        self._client.distrust()
        self._interrupted = True
        self._changed.set()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind not in {"smessage", "ssubscribe", "sunsubscribe"}:
            return
        channel = message["channel"].decode()
        topic = keys.topic_of_channel(channel)
        if kind == "smessage":
            self._on_lines(topic, message["data"].decode().split("\n"))
        elif kind == "ssubscribe":
            self._told_cause = ""
            self._on_heard(topic)
        elif channel in self._placed:  # nobody asked for it: the slot has left the node
            self._placed.pop(channel, None)
            self._client.distrust()
            self._changed.set()


class _Ear:
    """One connection to one node.

    Args:
        node: where.
        on_message: called with each message.
        on_end: called when the connection ends, unless it was closed.
    """

    def __init__(
        self,
        node: Node,
        on_message: Callable[[dict[str, Any]], None],
        on_end: Callable[["_Ear", Exception], None],
    ) -> None:
        self.node = node
        self._on_message = on_message
        self._on_end = on_end
        self._pubsub = node.redis.pubsub()
        self._listening: asyncio.Task[None] | None = None

    async def subscribe(self, channels: list[str]) -> None:
        """Ask for channels of one slot; messages tell when the subscriptions stand."""
        await self._pubsub.ssubscribe(*channels)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

    async def unsubscribe(self, channel: str) -> None:
        """Hear one channel no more."""
        await self._pubsub.sunsubscribe(channel)

    async def close(self) -> None:
        """Hear no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self._let_go()

    async def _listen(self) -> None:
        try:
            async for message in _messages(self._pubsub):
                self._on_message(message)
        except Exception as error:  # noqa: BLE001 - whatever it was, a server must not stay deaf
            self._on_end(self, error)
            await self._let_go()

    async def _let_go(self) -> None:
        with suppress(RedisError, OSError):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped


async def _messages(pubsub: PubSub) -> AsyncIterator[dict[str, Any]]:
    """Yield messages until the connection ends or is silent even when pinged.

    Raises:
        RedisError: it ended, or a subscription was refused.
        OSError: it ended.
    """
    asked = False
    while True:
        message: dict[str, Any] | None = await pubsub.get_message(timeout=_PING_SECONDS)
        if message is not None:
            asked = False
            yield message
        elif asked:
            raise ConnectionError(f"no answer to a ping within {_PING_SECONDS:.0f} s")
        else:
            asked = True
            await pubsub.ping()
