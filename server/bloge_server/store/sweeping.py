"""Sweeps of many topics in few trips: a server with thousands of topics sweeps each of them every second."""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.domain.work_item import SweepResult
from bloge_server.store import keys
from bloge_server.store.errors import translated
from bloge_server.store.keys import Topic
from bloge_server.store.nodes import Client
from bloge_server.store.redis_store import RedisStore


class TopicSweeps:
    """Sweeps topics of a store.

    Args:
        store: the topics'.
        client: the store's.
    """

    def __init__(self, store: RedisStore, client: Client) -> None:
        self._store = store
        self._client = client

    def together(self, topics: Sequence[Topic]) -> list[list[Topic]]:
        """Return topics in parts: those of one part are on one node, as far as is known."""
        places = self._client.places_of([keys.topic_base(*topic) for topic in topics])
        return [[topics[index] for index in indexes] for indexes in places if indexes]

    async def sweep(self, topics: Sequence[Topic]) -> list[SweepResult | RemoteWorkersError]:
        """Sweep topics of one part in one trip; what went wrong with one stands in place of its result."""
        calls = [self._store.sweep_call(topic) for topic in topics]
        try:
            with translated():
                replies = await self._client.send_each(calls)
        except RemoteWorkersError as error:
            return [error] * len(topics)
        return [await self._result(topic, reply) for topic, reply in zip(topics, replies, strict=True)]

    async def _result(self, topic: Topic, reply: Any) -> SweepResult | RemoteWorkersError:  # noqa: ANN401 - a reply, or what went wrong
        try:
            if isinstance(reply, NoScriptError):
                return await self._store.sweep(*topic)
            with translated():
                if isinstance(reply, Exception):
                    raise reply
        except RemoteWorkersError as error:
            return error
        return SweepResult(*reply)
