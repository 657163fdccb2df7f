"""How the server's parts end."""

import asyncio
from typing import NoReturn

import pytest

from bloge_server import app
from bloge_server.app import end_all
from bloge_server.config import Settings
from bloge_server.store.wakeups import WakeListener


async def test_parts_end_even_if_a_cancellation_gets_lost() -> None:
    """A part that was cancelled in a call that swallows it is cancelled again: a server always stops."""
    lost: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append("once")

    part = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_all([part])
    assert lost == ["once"]
    assert part.cancelled()


async def test_a_part_that_broke_does_not_keep_the_others_from_ending() -> None:
    """Its error is looked at, and every other part is ended."""

    async def broken() -> None:
        raise ValueError("broken")

    parts = [asyncio.create_task(broken()), asyncio.create_task(asyncio.Event().wait())]
    await asyncio.sleep(0)
    await end_all(parts)
    assert all(part.done() for part in parts)


async def test_nothing_to_end_is_over_at_once() -> None:
    """A start that failed early has no parts yet."""
    await end_all([])


async def test_a_server_whose_part_breaks_ends(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that hears no wake-ups, or sweeps no more, must not look alive: whoever supervises it starts another."""

    async def broken(_self: WakeListener) -> NoReturn:
        raise KeyError("a defect")

    monkeypatch.setattr(WakeListener, "run", broken)
    settings = Settings(redis_url=store_url, listen="127.0.0.1:0", http_listen="off", drain_seconds=0)
    with pytest.raises(KeyError, match="a defect"):
        await asyncio.wait_for(app.run(settings, asyncio.Event()), 30)


async def test_a_server_that_is_told_to_stop_ends_in_peace(store_url: str) -> None:
    """Its parts go on until then."""
    stop = asyncio.Event()
    settings = Settings(redis_url=store_url, listen="127.0.0.1:0", http_listen="off", drain_seconds=0)
    serving = asyncio.create_task(app.run(settings, stop))
    await asyncio.sleep(0)
    assert not serving.done()
    stop.set()
    await asyncio.wait_for(serving, 30)
