"""The client of Celery, which blocks: threads wait for results."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.peers.celery.app import APP, NOOP
from benchmarks.peers.contract import payload, serve

_WAITERS = 64


class CeleryClient:
    """One call a job: Celery has no bulk enqueue."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_WAITERS)

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue one by one: more threads are no faster."""
        for item_id in ids:
            NOOP.apply_async(kwargs=payload(item_id), task_id=item_id)

    async def ask(self, item_id: str) -> object:
        """Enqueue one job, and block a thread until its result is there."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, item_id)

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        return APP.AsyncResult(item_id).get(timeout=30)

    def _ask(self, item_id: str) -> object:
        return NOOP.apply_async(kwargs=payload(item_id), task_id=item_id).get(timeout=30, interval=0.002)


if __name__ == "__main__":
    asyncio.run(serve(CeleryClient(), ["celery", "kombu", "redis"]))
