"""The worker of saq."""

import asyncio

import uvloop
from saq import Worker

from benchmarks.peers.contract import Surroundings
from benchmarks.peers.saq.app import QUEUE, noop


async def main() -> None:
    """Work until SIGTERM."""
    await QUEUE.connect()
    await Worker(QUEUE, [noop], concurrency=Surroundings.read().slots).start()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())
