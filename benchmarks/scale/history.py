"""Whether items that finished slow anything while they are kept, and how fast retention lets them go."""

import time
from typing import Any

from benchmarks.scale.backlog import measured_store

_CHUNK = 10_000
_DAY_MS = 86_400_000


async def measure(finished: int, items: int) -> dict[str, Any]:
    """Return what steps cost beside a history, what it takes in memory, and how fast it is purged once it is due.

    Args:
        finished: how many finished and acknowledged items there are, a multiple of 10,000 or less than that.
        items: how many more are taken through their life to see the costs, a multiple of 100.
    """
    ahead_ms = 0
    async with measured_store(lambda: time.time_ns() // 1_000_000 + ahead_ms) as costs:
        written = await costs.appended()
        before_us = await costs.measure(items)
        aof_bytes = (await costs.appended() - written) / items
        empty = await costs.memory()
        chunk = min(_CHUNK, finished)
        for _ in range(finished // chunk):
            await costs.measure(chunk)
        size = (await costs.memory() - empty) / finished
        after_us = await costs.measure(items)
        ahead_ms = _DAY_MS + 1000
        purged, began, spent_us = 0, time.perf_counter(), 0.0

        async def purge() -> None:
            nonlocal purged
            purged += (await costs.sweep()).purged

        while purged < finished:
            spent_us += await costs.cost(purge)
        seconds = time.perf_counter() - began
    return {
        "finished": finished,
        "bytes_per_finished_item": size,
        "aof_bytes_per_item": aof_bytes,
        "store_cpu_us_without": before_us,
        "store_cpu_us": after_us,
        "purged_per_s": purged / seconds,
        "purge_cpu_us": spent_us / purged,
    }
