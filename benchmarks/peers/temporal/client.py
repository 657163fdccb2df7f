"""The client of Temporal."""

import asyncio
from collections.abc import Sequence

import uvloop
from temporalio.client import Client

from benchmarks.peers.contract import Surroundings, payload, serve
from benchmarks.peers.temporal.worker import QUEUE, OneActivity

_IN_FLIGHT = 50


class TemporalClient:
    """Starts workflows.

    Args:
        client: Temporal's own.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Start workflows with many calls in flight."""
        for start in range(0, len(ids), _IN_FLIGHT):
            await asyncio.gather(*(self._start(each) for each in ids[start : start + _IN_FLIGHT]))

    async def ask(self, item_id: str) -> object:
        """Start one workflow and wait for its result."""
        return await self._client.execute_workflow(OneActivity.run, payload(item_id), id=item_id, task_queue=QUEUE)

    async def kept(self, item_id: str) -> object:
        """Read the kept result."""
        return await self._client.get_workflow_handle(item_id).result()

    async def _start(self, item_id: str) -> None:
        await self._client.start_workflow(OneActivity.run, payload(item_id), id=item_id, task_queue=QUEUE)


async def main() -> None:
    """Serve until standard input ends."""
    await serve(TemporalClient(await Client.connect(Surroundings.read().store)), ["temporalio"])


if __name__ == "__main__":
    uvloop.run(main())
