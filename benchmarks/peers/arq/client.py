"""The client of arq."""

import asyncio
from collections.abc import Sequence
from typing import Any

import arq
import uvloop
from arq.jobs import Job

from benchmarks.peers.arq.worker import POLL_SECONDS, SETTINGS
from benchmarks.peers.contract import payload, serve

_IN_FLIGHT = 100


class ArqClient:
    """One call a job: arq has no bulk enqueue.

    Args:
        pool: connections to Redis.
    """

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - arq's own type is not known outside its environment
        self._pool = pool

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue with many calls in flight."""
        for start in range(0, len(ids), _IN_FLIGHT):
            batch = ids[start : start + _IN_FLIGHT]
            await asyncio.gather(*(self._pool.enqueue_job("noop", _job_id=each, **payload(each)) for each in batch))

    async def ask(self, item_id: str) -> object:
        """Enqueue, and look for the result again and again: there is no other way."""
        job = await self._pool.enqueue_job("noop", _job_id=item_id, **payload(item_id))
        return await job.result(poll_delay=POLL_SECONDS)

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        info = await Job(item_id, self._pool).result_info()
        return info and info.result


async def main() -> None:
    """Serve until standard input ends."""
    await serve(ArqClient(await arq.create_pool(SETTINGS)), ["arq", "redis"])


if __name__ == "__main__":
    uvloop.run(main())
