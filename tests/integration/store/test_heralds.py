"""What the scripts tell every server: only what nobody would see in time without it."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from bloge_server.services.sweeper import FALLBACK_SECONDS
from bloge_server.store import keys, scripts
from bloge_server.store.wakeups import WakeListener

from .conftest import TOPIC, Bench, new

Said = Callable[[], Awaitable[list[str]]]

_END = "end-of-what-was-said"
SOON_MS = int(re.findall(r"local SOON = (\d+)", scripts.load("claim").source)[0])


@asynccontextmanager
async def listening(bench: Bench) -> AsyncIterator[Said]:
    """Yield what returns the lines that were heralded since it was last asked."""
    topic, channel = (bench.namespace, TOPIC), keys.wake_channel(bench.namespace, TOPIC)
    heard: asyncio.Queue[list[str]] = asyncio.Queue()
    begun = asyncio.Event()
    listener = WakeListener(bench.way, lambda _, lines: heard.put_nowait(lines), lambda _: begun.set())
    listener.watch([topic])
    running = asyncio.create_task(listener.run())
    await begun.wait()

    async def said() -> list[str]:
        await bench.way.send(channel, ("SPUBLISH", channel, _END))
        lines: list[str] = []
        while (message := await heard.get()) != [_END]:
            lines += message
        return sorted(lines)

    try:
        yield said
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_due_late_is_not_heralded(bench: Bench) -> None:
    """Every server looks at each topic more often than that: a claim, and an acknowledgement, say nothing."""
    async with listening(bench) as said:
        await bench.enqueue(new(suspend_timeout_ms=600_000))
        assert await said() == ["ready"]
        token = await bench.claim_one()
        assert await said() == []
        await bench.complete(token)
        assert await said() == ["outcome group -"]
        await bench.store.acknowledge(bench.namespace, TOPIC, ["a"])
        assert await said() == []


@pytest.mark.parametrize("ahead", [0, 1, SOON_MS - 1])
async def test_what_is_due_soon_is_heralded(bench: Bench, ahead: int) -> None:
    """With the delay until then."""
    async with listening(bench) as said:
        await bench.enqueue(new(max_retries=1))
        await bench.fail(await bench.claim_one(), after=ahead)
        assert await said() == [f"due {ahead}", "ready"]


def test_soon_is_longer_than_servers_look_away() -> None:
    """What is not heralded is found by a look that comes anyway, even if that is late by as much again."""
    assert SOON_MS >= 2 * FALLBACK_SECONDS * 1000
