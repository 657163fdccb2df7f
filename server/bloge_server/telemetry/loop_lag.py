"""Measures how late the event loop comes back: what every call on it waits besides."""

import asyncio
import time
from collections.abc import Callable

from bloge_server.telemetry.probe import Probe

_INTERVAL_SECONDS = 0.25


async def watch(probe: Probe, clock: Callable[[], float] = time.monotonic) -> None:
    """Measure until cancelled.

    Args:
        probe: is told.
        clock: monotonic seconds.
    """
    while True:
        began = clock()
        await asyncio.sleep(_INTERVAL_SECONDS)
        probe.loop_lagged(max(0.0, clock() - began - _INTERVAL_SECONDS))
