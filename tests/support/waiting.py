"""Waits for what only polling can tell: the state of processes that are not ours."""

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE = 30.0
_POLL_SECONDS = 0.02


def until(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(_POLL_SECONDS)


async def until_true(condition: Callable[[], Awaitable[object]], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - no event of ours tells what another process did
            await asyncio.sleep(_POLL_SECONDS)
