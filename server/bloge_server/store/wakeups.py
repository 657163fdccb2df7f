"""Hears what the scripts herald: one sharded channel a topic, lost connections mended by itself."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from bloge_server.store import keys

Topic = tuple[str, str]
_RETRY_SECONDS = 0.2
_HOME = "bloge:wake"
"""A channel nobody speaks on: it keeps a listener without topics connected."""

_log = structlog.get_logger(__name__)


class WakeListener:
    """Listens to the topics it is told to watch.

    Args:
        client: the store's client; the listener takes one connection of its own.
        on_lines: called with a topic and the lines heralded there.
        on_connect: called after each (re)connection, because what was heralded meanwhile is lost.
    """

    def __init__(
        self, client: "Redis", on_lines: Callable[[Topic, list[str]], None], on_connect: Callable[[], None]
    ) -> None:
        self._client = client
        self._on_lines = on_lines
        self._on_connect = on_connect
        self._channels: set[str] = {_HOME}
        self._pubsub: PubSub | None = None

    async def watch(self, topics: Iterable[Topic]) -> None:
        """Listen to these topics too. A failure is mended by the next connection."""
        channels = {keys.wake_channel(*topic) for topic in topics} - self._channels
        self._channels |= channels
        if channels and self._pubsub is not None:
            with contextlib.suppress(RedisError, OSError):
                await self._pubsub.ssubscribe(*channels)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                _log.warning("wake-ups interrupted", error=str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            first = frozenset(self._channels)
            await pubsub.ssubscribe(*first)
            self._pubsub = pubsub
            if meanwhile := self._channels - first:
                await pubsub.ssubscribe(*meanwhile)
            self._on_connect()
            async for message in pubsub.listen():
                if message["type"] == "smessage":
                    self._on_lines(
                        keys.topic_of_channel(message["channel"].decode()), message["data"].decode().split("\n")
                    )
        finally:
            self._pubsub = None
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
