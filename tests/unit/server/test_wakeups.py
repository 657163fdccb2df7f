"""The listener hears of every topic it watches, whenever that began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from bloge_server.store import keys
from bloge_server.store.wakeups import Topic, WakeListener

A, B = ("ns", "a"), ("ns", "b")


class Heard:
    """What a listener told."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[tuple[Topic, list[str]]] = asyncio.Queue()
        self.connections: asyncio.Queue[None] = asyncio.Queue()

    def listener(self, client: "Redis") -> WakeListener:
        """Return a listener that tells us."""
        return WakeListener(
            client,
            lambda topic, lines: self.lines.put_nowait((topic, lines)),
            lambda: self.connections.put_nowait(None),
        )


@pytest.fixture
async def client(store_url: str) -> AsyncIterator["Redis"]:
    """Return a client of a real store."""
    async with Redis.from_url(store_url) as client:
        yield client


async def running(listener: WakeListener, heard: Heard) -> "asyncio.Task[None]":
    """Return a listener at work, once it is connected."""
    task = asyncio.create_task(listener.run())
    await heard.connections.get()
    return task


async def stopped(task: "asyncio.Task[None]") -> None:
    """Stop a listener."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def say(client: "Redis", topic: Topic, text: str) -> None:
    """Herald something until somebody hears it: a subscription may still be on its way."""
    for _ in range(10_000):
        if await client.spublish(keys.wake_channel(*topic), text):
            return
    pytest.fail("nobody listens")


async def test_lines_reach_the_listener_with_their_topic(client: "Redis", namespace: str) -> None:
    """One message may hold several lines."""
    heard, topic = Heard(), (namespace, "a")
    listener = heard.listener(client)
    await listener.watch([topic])
    task = await running(listener, heard)
    await say(client, topic, "ready\ndue 5")
    assert await heard.lines.get() == (topic, ["ready", "due 5"])
    await stopped(task)


async def test_a_topic_can_be_watched_later(client: "Redis", namespace: str) -> None:
    """A listener at work takes new topics, and naming one twice is harmless."""
    heard, topic = Heard(), (namespace, "a")
    listener = heard.listener(client)
    task = await running(listener, heard)
    await listener.watch([topic])
    await listener.watch([topic])
    await say(client, topic, "ready")
    assert await heard.lines.get() == (topic, ["ready"])
    await stopped(task)


async def test_a_lost_connection_is_mended_and_told(client: "Redis", namespace: str) -> None:
    """After it every topic is heard again, and everybody knows that something may have been missed."""
    heard, topic = Heard(), (namespace, "a")
    listener = heard.listener(client)
    await listener.watch([topic])
    task = await running(listener, heard)
    await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    await heard.connections.get()
    await say(client, topic, "ready")
    assert await heard.lines.get() == (topic, ["ready"])
    await stopped(task)


class SlowSubscription:
    """A client whose first subscription takes until the test lets it through."""

    def __init__(self) -> None:
        self.subscribed: list[str] = []
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    def pubsub(self, **options: Any) -> "SlowSubscription":
        """Return the connection for messages."""
        assert options
        return self

    async def ssubscribe(self, *channels: str) -> None:
        """Subscribe, the first time slowly."""
        self.asked.set()
        await self.gate.wait()
        self.subscribed.extend(channels)

    async def listen(self) -> AsyncIterator[dict[str, object]]:
        """Hear nothing."""
        await asyncio.Event().wait()
        yield {}

    async def aclose(self) -> None:
        """Close."""


async def test_a_topic_that_comes_while_connecting_is_not_forgotten() -> None:
    """A topic watched during the first subscription is subscribed to after it."""
    heard, slow = Heard(), SlowSubscription()
    listener = heard.listener(cast("Redis", slow))
    await listener.watch([A])
    task = asyncio.create_task(listener.run())
    await slow.asked.wait()
    watching = asyncio.create_task(listener.watch([B]))
    await asyncio.sleep(0)
    slow.gate.set()
    await heard.connections.get()
    await watching
    assert {keys.wake_channel(*A), keys.wake_channel(*B)} <= set(slow.subscribed)
    await stopped(task)
