"""The client of taskiq."""

import asyncio
from collections.abc import Sequence

import uvloop

from benchmarks.peers.contract import payload, serve
from benchmarks.peers.taskiq.app import BROKER, NOOP

_IN_FLIGHT = 200
_POLL_SECONDS = 0.002


class TaskiqClient:
    """One call a job: taskiq has no bulk enqueue."""

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue with many calls in flight."""
        for start in range(0, len(ids), _IN_FLIGHT):
            calls = (NOOP.kicker().with_task_id(each).kiq(**payload(each)) for each in ids[start : start + _IN_FLIGHT])
            await asyncio.gather(*calls)

    async def ask(self, item_id: str) -> object:
        """Enqueue, and look for the result again and again: there is no other way."""
        task = await NOOP.kicker().with_task_id(item_id).kiq(**payload(item_id))
        return (await task.wait_result(check_interval=_POLL_SECONDS)).return_value

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        return (await BROKER.result_backend.get_result(item_id)).return_value


async def main() -> None:
    """Serve until standard input ends."""
    await BROKER.startup()
    await serve(TaskiqClient(), ["taskiq", "taskiq-redis", "redis"])


if __name__ == "__main__":
    uvloop.run(main())
