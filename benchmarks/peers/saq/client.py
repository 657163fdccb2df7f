"""The client of saq."""

import asyncio
from collections.abc import Sequence

import uvloop

from benchmarks.peers.contract import payload, serve
from benchmarks.peers.saq.app import QUEUE

_IN_FLIGHT = 200
_POLL_SECONDS = 0.002


class SaqClient:
    """One call a job: saq has no bulk enqueue."""

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue with many calls in flight."""
        for start in range(0, len(ids), _IN_FLIGHT):
            await asyncio.gather(*(self._enqueue(each) for each in ids[start : start + _IN_FLIGHT]))

    async def ask(self, item_id: str) -> object:
        """Enqueue, and look for the result again and again: there is no other way."""
        return await QUEUE.apply("noop", key=item_id, ttl=3600, poll_interval=_POLL_SECONDS, **payload(item_id))

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        job = await QUEUE.job(item_id)
        return job and job.result

    async def _enqueue(self, item_id: str) -> None:
        await QUEUE.enqueue("noop", key=item_id, ttl=3600, **payload(item_id))


async def main() -> None:
    """Serve until standard input ends."""
    await QUEUE.connect()
    await serve(SaqClient(), ["saq", "redis"])


if __name__ == "__main__":
    uvloop.run(main())
