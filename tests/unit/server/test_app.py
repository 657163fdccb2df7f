"""How the server's parts end."""

import asyncio

from bloge_server.app import end_all


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
