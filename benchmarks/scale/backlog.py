"""What one item costs the store when many others wait: enqueue, claim, receipt, complete, acknowledge, sweep."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from google.protobuf.duration_pb2 import Duration

from benchmarks.peers.contract import PAYLOAD_BYTES
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Receipt
from bloge_server.domain.work_item import ClaimOrder, Emission, NewItem, SweepResult
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.specs import new_item
from bloge_server.store import connection, embedded
from bloge_server.store.keys import Topic
from bloge_server.store.redis_store import RedisStore

NAMESPACE, TOPIC = "default", "bench"
_BATCH = 100
_FILL = 500
_LEASE_MS, _OFFER_MS = 600_000, 600_000
_SUSPEND_MS = 3_600_000
_SWEEPS = 100


class _Watching:
    """Somebody who watches the outcomes, as an enqueuer does: completions tell of them."""

    def watch_any(self, topic: Topic) -> bool:
        """Return that it does."""
        del topic
        return True

    def arose(self, emission: Emission) -> None:
        """Do nothing with them."""

    def look_again(self, topic: Topic) -> None:
        """Read nothing."""


class Costs:
    """Measures on one topic of one store.

    Args:
        store: with nothing else in it.
        node: the connection to its only node.
    """

    def __init__(self, store: RedisStore, node: Any) -> None:  # noqa: ANN401 - redis' own type is broader than what is used
        self._store = store
        store.handover.watchers = _Watching()
        self._node = node
        self._numbers = count()
        self.ready = 0

    async def fill(self, backlog: int) -> None:
        """Enqueue until so many items are ready."""
        while self.ready < backlog:
            await self._enqueue(min(_FILL, backlog - self.ready))

    async def memory(self) -> int:
        """Return the memory that the store uses, in bytes."""
        return int((await self._node.info("memory"))["used_memory"])

    async def appended(self) -> int:
        """Return the size of the store's append-only file, in bytes."""
        return int((await self._node.info("persistence"))["aof_current_size"])

    async def measure(self, items: int) -> dict[str, float]:
        """Return microseconds of the store's processor that each step costs an item; the backlog is then as before.

        Args:
            items: how many to take through their life, a multiple of 100.
        """
        batches = items // _BATCH
        claimed: list[LeaseToken] = []

        async def claim() -> None:
            order = ClaimOrder("worker", _BATCH, _LEASE_MS, offer_lease_ms=_OFFER_MS)
            leases = (await self._store.claim(NAMESPACE, TOPIC, order)).leases
            claimed.extend(lease.token for lease in leases)

        async def each(act: Callable[[Sequence[LeaseToken]], Awaitable[object]]) -> None:
            for start in range(0, len(claimed), _BATCH):
                await act(claimed[start : start + _BATCH])

        costs = {"enqueue": await self.cost(lambda: self._enqueue(_BATCH), batches) / _BATCH}
        costs["claim"] = await self.cost(claim, batches) / _BATCH
        if len(claimed) != items:
            raise RuntimeError(f"{len(claimed)} of {items} items were claimed")
        self.ready -= items
        costs["receipt"] = await self.cost(lambda: each(self._receive)) / items
        costs["complete"] = await self.cost(lambda: each(self._complete)) / items
        costs["acknowledge"] = await self.cost(lambda: each(self._acknowledge)) / items
        costs["sweep with nothing due, a call"] = await self.cost(self.sweep, _SWEEPS)
        return costs

    async def cost(self, act: Callable[[], Awaitable[object]], times: int = 1) -> float:
        """Return microseconds of the store's processor for one call of an act."""
        before = await self._processor_seconds()
        for _ in range(times):
            await act()
        return (await self._processor_seconds() - before) / times * 1e6

    async def _processor_seconds(self) -> float:
        used = await self._node.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def _item(self, payload: bytes) -> NewItem:
        """Return an item as an orchestrator's node is: found by its execution and node, with a deadline and retries."""
        number = next(self._numbers)
        spec = pb.WorkItemSpec(
            item_id=f"{number:032x}",
            worker_topic=TOPIC,
            operator_ref="bench",
            execution_id=f"execution-{number}",
            node_id="node",
            reply_group="bench",
            payload=payload,
            suspend_timeout=Duration(seconds=_SUSPEND_MS // 1000),
            retry_policy=pb.RetryPolicy(attempts=3, backoff=Duration(seconds=1)),
        )
        return new_item(spec, Checks(), len(payload))

    async def _enqueue(self, number: int) -> None:
        payload = b'{"pad":"' + b"x" * (PAYLOAD_BYTES - 10) + b'"}'
        items = [self._item(payload) for _ in range(number)]
        await self._store.enqueue(NAMESPACE, TOPIC, items)
        self.ready += number

    async def _receive(self, tokens: Sequence[LeaseToken]) -> None:
        await self._store.receive(NAMESPACE, TOPIC, [Receipt(token) for token in tokens])

    async def _complete(self, tokens: Sequence[LeaseToken]) -> None:
        reports = [Complete(token, "complete", b'{"ok":true}', "digest") for token in tokens]
        verdicts = await self._store.complete(NAMESPACE, TOPIC, reports)
        if not all(verdict.accepted for verdict in verdicts):
            raise RuntimeError("an output was refused")

    async def _acknowledge(self, tokens: Sequence[LeaseToken]) -> None:
        await self._store.acknowledge(NAMESPACE, TOPIC, [token.item_id for token in tokens], ["bench"])

    async def sweep(self) -> SweepResult:
        """Do what is due."""
        return await self._store.sweep(NAMESPACE, TOPIC)


@asynccontextmanager
async def measured_store(clock: Callable[[], int] = lambda: 0) -> AsyncIterator[Costs]:
    """Yield what measures an embedded store of its own, which has seen every script once.

    Args:
        clock: what time the store takes it to be, in ms; 0: its own clock's.
    """
    with tempfile.TemporaryDirectory(prefix="bloge-scale-") as folder:
        store = embedded.start(Path(folder), appendfsync="everysec")
        try:
            async with connection.connected(f"unix://{store.socket}") as client:
                (node,) = await client.masters()
                redis: Any = node.redis
                # A rewrite of its file makes whatever runs beside it dearer, and comes when it comes.
                await redis.execute_command("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
                costs = Costs(RedisStore(client, clock=clock), redis)
                await costs.measure(_BATCH)
                yield costs
        finally:
            store.stop()


async def measure(backlogs: Sequence[int], items: int) -> list[dict[str, Any]]:
    """Return the costs at each backlog, ascending, and the bytes that a waiting item takes there.

    Args:
        backlogs: how many items wait.
        items: how many more are taken through their life at each, a multiple of 100.
    """
    found = []
    async with measured_store() as costs:
        empty = await costs.memory()
        for backlog in backlogs:
            await costs.fill(backlog)
            size = (await costs.memory() - empty) / backlog
            us = await costs.measure(items)
            found.append({"backlog": backlog, "bytes_per_waiting_item": size, "store_cpu_us": us})
    return found
