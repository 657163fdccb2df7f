"""The listener hears of every topic it watches, whenever that began, and says when it begins to hear."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError  # noqa: A004 - redis names it so

from bloge_server.store import connection, keys, wakeups
from bloge_server.store.keys import Topic
from bloge_server.store.nodes import Node
from bloge_server.store.wakeups import WakeListener
from support.waiting import until_true


class Heard:
    """What a listener told."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[tuple[Topic, list[str]]] = asyncio.Queue()
        self.begun: asyncio.Queue[Topic] = asyncio.Queue()

    def listener(self, client: connection.Client) -> WakeListener:
        """Return a listener that tells us."""
        return WakeListener(
            client,
            lambda topic, lines: self.lines.put_nowait((topic, lines)),
            self.begun.put_nowait,
        )


@asynccontextmanager
async def running(listener: WakeListener) -> AsyncIterator[None]:
    """Let a listener work."""
    task = asyncio.create_task(listener.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def node(store_url: str) -> AsyncIterator[Node]:
    """Return a client of a real store."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connection.connect(store_url))
        assert isinstance(client, Node)
        yield client


async def say(node: Node, topic: Topic, text: str) -> int:
    """Herald something; return how many heard it."""
    channel = keys.wake_channel(*topic)
    (listeners,) = await node.send(channel, ("SPUBLISH", channel, text))
    return int(listeners)


async def test_lines_reach_the_listener_with_their_topic(node: Node, namespace: str) -> None:
    """One message may hold several lines; a topic is heard from when it is said to be."""
    heard, topic = Heard(), (namespace, "a")
    listener = heard.listener(node)
    listener.watch([topic])
    async with running(listener):
        assert await heard.begun.get() == topic
        assert await say(node, topic, "ready\ndue 5") == 1
        assert await heard.lines.get() == (topic, ["ready", "due 5"])


async def test_a_topic_can_be_watched_later(node: Node, namespace: str) -> None:
    """A listener at work takes new topics, and naming one twice is harmless."""
    heard, first, later = Heard(), (namespace, "a"), (namespace, "b")
    listener = heard.listener(node)
    listener.watch([first])
    async with running(listener):
        await heard.begun.get()
        listener.watch([first, later])
        listener.watch([later])
        assert await heard.begun.get() == later
        await say(node, later, "ready")
        assert await heard.lines.get() == (later, ["ready"])
        assert heard.begun.empty()


async def test_a_topic_can_be_forgotten(node: Node, namespace: str) -> None:
    """The store then keeps no subscription for it; the others are heard, also when none was left meanwhile."""
    heard, topic, other = Heard(), (namespace, "a"), (namespace, "b")
    listener = heard.listener(node)
    listener.watch([topic])
    async with running(listener):
        await heard.begun.get()
        listener.forget([topic, other])
        await until_true(lambda: _deaf(node, topic), "the subscription is gone")
        listener.watch([other])
        assert await heard.begun.get() == other
        listener.watch([topic])
        assert await heard.begun.get() == topic
        listener.forget([topic])
        await until_true(lambda: _deaf(node, topic), "the subscription is gone")
        await say(node, other, "ready")
        while (heard_topic := (await heard.lines.get())[0]) != other:
            assert heard_topic == topic


async def _deaf(node: Node, topic: Topic) -> bool:
    return await say(node, topic, "anybody") == 0


async def test_a_lost_connection_is_mended_and_told(node: Node, namespace: str) -> None:
    """After it every topic is heard again, and everybody knows that something may have been missed."""
    heard, topics = Heard(), {(namespace, "a"), (namespace, "b")}
    listener = heard.listener(node)
    listener.watch(topics)
    async with running(listener):
        assert {await heard.begun.get(), await heard.begun.get()} == topics
        await node.send("", ("CLIENT", "KILL", "TYPE", "pubsub"))
        assert {await heard.begun.get(), await heard.begun.get()} == topics
        for topic in topics:
            await say(node, topic, "ready")
        assert {(await heard.lines.get())[0], (await heard.lines.get())[0]} == topics


class FailingStore:
    """A client whose first attempts to listen fail."""

    slots_move = False

    def __init__(self, node: Node, failures: int) -> None:
        self.node = node
        self.failures = failures
        self.distrusted = 0

    async def places(self, channels: Iterable[str]) -> list[tuple[Node, list[str]]]:
        """Fail, or say where to listen."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("nobody there")
        return await self.node.places(channels)

    def distrust(self) -> None:
        """Count."""
        self.distrusted += 1


async def test_a_store_that_is_not_there_yet_is_tried_again(node: Node, namespace: str) -> None:
    """Until it is; where things are is asked anew each time."""
    heard, topic = Heard(), (namespace, "a")
    failing: Any = FailingStore(node, failures=2)
    listener = heard.listener(cast("connection.Client", failing))
    listener.watch([topic])
    async with running(listener):
        assert await heard.begun.get() == topic
    assert failing.distrusted == 2


async def test_a_handler_that_breaks_does_not_deafen(node: Node, namespace: str) -> None:
    """The listener connects again and goes on."""
    broken, begun = [True], asyncio.Queue[Topic]()

    def on_lines(topic: Topic, lines: list[str]) -> None:
        if broken.pop():
            raise ValueError(lines)

    topic = (namespace, "a")
    listener = WakeListener(node, on_lines, begun.put_nowait)
    listener.watch([topic])
    async with running(listener):
        await begun.get()
        await say(node, topic, "ready")
        assert await begun.get() == topic


async def test_a_connection_that_breaks_while_topics_are_forgotten_does_not_make_deaf(
    node: Node, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the connection all its subscriptions are gone, those that were about to be ended too."""
    heard, topics, later = Heard(), [(namespace, "a"), (namespace, "b"), (namespace, "c")], (namespace, "later")

    async def broken(_self: object, _channel: str) -> None:
        raise ConnectionError("broken")

    listener = heard.listener(node)
    listener.watch(topics)
    async with running(listener):
        assert {await heard.begun.get() for _ in topics} == set(topics)
        monkeypatch.setattr(wakeups._Ear, "unsubscribe", broken)
        listener.forget(topics)
        listener.watch([later])
        assert await heard.begun.get() == later
        assert await say(node, later, "ready") == 1
