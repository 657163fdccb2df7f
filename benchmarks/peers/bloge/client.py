"""Our client: what an orchestrator does, without graphs."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.peers.bloge.worker import TOPIC
from benchmarks.peers.contract import Surroundings, payload, serve
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeSource

NAMESPACE, GROUP = "default", "bench"
_BATCH = 500
_CALLS = 4


class BlogeClient:
    """Enqueues items with every promise on, and takes their outcomes.

    Args:
        control_plane: the connection.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane
        self._asked: dict[str, asyncio.Future[object]] = {}
        self._unsent: list[str] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self.ended: dict[str, int] = {}
        """Items that have ended, with the instant in microseconds since 1970."""
        self.repeated = 0

    def watch(self) -> None:
        """Take outcomes from now on."""
        self._control_plane.outcomes.add(OutcomeSource(NAMESPACE, TOPIC, GROUP), self._take)

    async def enqueue(self, ids: Sequence[str]) -> None:
        """Enqueue in batches, a few calls at a time."""
        room = asyncio.Semaphore(_CALLS)

        async def send(batch: Sequence[str]) -> None:
            async with room:
                await self._send(batch)

        async with asyncio.TaskGroup() as group:
            for start in range(0, len(ids), _BATCH):
                group.create_task(send(ids[start : start + _BATCH]))

    async def ask(self, item_id: str) -> object:
        """Enqueue one item, with whatever else is asked for in the same turn of the loop, and await its outcome."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(item_id)
        asked = self._asked[item_id] = asyncio.get_running_loop().create_future()
        return await asked

    async def kept(self, item_id: str) -> object:
        """Read the output of a finished item."""
        item = await self._control_plane.get(ItemRef(NAMESPACE, TOPIC, item_id))
        return json.loads(item.outcome.output)

    async def collect(self, command: dict[str, Any]) -> dict[str, Any]:
        """Return once so many items have ended, and when they did."""
        while len(self.ended) < command["count"]:
            self._news.clear()
            await self._news.wait()
        ended, self.ended = self.ended, {}
        return {"first": min(ended.values()), "last": max(ended.values()), "repeated": self.repeated}

    def _flush(self) -> None:
        batch, self._unsent = self._unsent, []
        sending = asyncio.create_task(self._send(batch))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send(self, batch: Sequence[str]) -> None:
        refusals = await self._control_plane.enqueue(NAMESPACE, [_spec(item_id) for item_id in batch])
        if any(refusals):
            raise RuntimeError(f"refused: {next(filter(None, refusals))}")

    def _take(self, outcome: pb.Outcome) -> None:
        item_id = outcome.item.item_id
        if (asked := self._asked.pop(item_id, None)) is not None:
            if not asked.done():  # whoever asked may have lost patience
                asked.set_result(json.loads(outcome.output))
        elif item_id in self.ended:
            self.repeated += 1
        else:
            self.ended[item_id] = time.time_ns() // 1000
        self._control_plane.outcomes.acknowledge([ItemRef(NAMESPACE, TOPIC, item_id)])
        self._news.set()


def _spec(item_id: str) -> pb.WorkItemSpec:
    spec = pb.WorkItemSpec(
        item_id=item_id,
        worker_topic=TOPIC,
        payload=json.dumps(payload(item_id), separators=(",", ":")).encode(),
        retry_policy=pb.RetryPolicy(attempts=3, strategy=pb.BACKOFF_STRATEGY_EXPONENTIAL),
        reply_group=GROUP,
    )
    spec.retry_policy.backoff.FromSeconds(2)
    spec.suspend_timeout.FromSeconds(600)
    return spec


async def main() -> None:
    """Serve until standard input ends."""
    async with ControlPlane(Surroundings.read().store) as control_plane:
        client = BlogeClient(control_plane)
        client.watch()
        await serve(client, ["bloge-server"], {"collect": client.collect})


if __name__ == "__main__":
    uvloop.run(main())
