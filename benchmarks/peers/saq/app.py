"""saq: asyncio, on Redis lists."""

from typing import Any

from saq.queue.redis import RedisQueue

from benchmarks.peers.contract import Surroundings, handle

QUEUE = RedisQueue.from_url(f"unix://{Surroundings.read().store}", max_concurrent_ops=100)


async def noop(_: dict[str, Any], *, item: str, pad: str) -> dict[str, str]:
    """Run one job."""
    del pad
    return await handle(item)
