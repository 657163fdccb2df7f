"""The client of dramatiq, which blocks: threads wait for results."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.peers.contract import payload, serve
from benchmarks.peers.dramatiq.app import BROKER, NOOP, RESULTS

_ENQUEUERS, _WAITERS = 4, 64
_WAIT_MS = 30_000


class DramatiqClient:
    """One call a job: dramatiq has no bulk enqueue."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_WAITERS)
        self._ids: dict[str, str] = {}

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue from a few threads."""
        parts = [ids[number::_ENQUEUERS] for number in range(_ENQUEUERS)]
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, self._enqueue, part) for part in parts))

    async def ask(self, item_id: str) -> object:
        """Enqueue one job, and block a thread until its result is there."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, item_id)

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        message = NOOP.message(**payload(item_id)).copy(message_id=self._ids[item_id])
        return message.get_result(backend=RESULTS, block=True, timeout=_WAIT_MS)

    def _enqueue(self, ids: Sequence[str]) -> None:
        for item_id in ids:
            self._ids[item_id] = BROKER.enqueue(NOOP.message(**payload(item_id))).message_id

    def _ask(self, item_id: str) -> object:
        return BROKER.enqueue(NOOP.message(**payload(item_id))).get_result(
            backend=RESULTS, block=True, timeout=_WAIT_MS
        )


if __name__ == "__main__":
    asyncio.run(serve(DramatiqClient(), ["dramatiq", "redis"]))
