"""arq: asyncio, on a Redis sorted set."""

import asyncio
from typing import Any

import arq
import uvloop
from arq.connections import RedisSettings

from benchmarks.peers.contract import Surroundings, handle

POLL_SECONDS = 0.005
SETTINGS = RedisSettings(unix_socket_path=Surroundings.read().store)


async def noop(_: dict[str, Any], *, item: str, pad: str) -> dict[str, str]:
    """Run one job."""
    del pad
    return await handle(item)


def main() -> None:
    """Work until SIGTERM."""
    asyncio.set_event_loop(uvloop.new_event_loop())
    slots = Surroundings.read().slots
    arq.Worker([noop], redis_settings=SETTINGS, max_jobs=slots, queue_read_limit=slots, poll_delay=POLL_SECONDS).run()


if __name__ == "__main__":
    main()
