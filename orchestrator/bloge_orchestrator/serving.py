"""A worker that owns executions: it claims them from their topics, and keeps their leases."""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from bloge.remote_workers.v1 import lease_pb2
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.owner import Owner, Resources
from bloge_worker import Worker, WorkerRefused

DEFAULT_TOPIC = "executions"
"""The topic of executions that name no other."""

DEFAULT_CONCURRENCY = 2_000
"""Executions that a process owns at once. They mostly wait, but those beyond it do not begin."""


class Serving:
    """Owns executions while it is entered. At the end each is handed on, and goes on elsewhere where it stood.

    Args:
        resources: What the executions share.
        address: Where the server is.
        worker_topics: The topics to claim from.
        concurrency: The most executions at once, up to 10,000; 0: only those that `adopt` is given.
        lease_seconds: The lease of an execution; None for the server's default. Longer survives longer pauses of this
            process; shorter lets another one take over sooner.
        drain_seconds: How long local attempts that run have to come to their end, at least 0.1.
    """

    def __init__(
        self,
        resources: Resources,
        address: str,
        worker_topics: Sequence[str],
        *,
        concurrency: int,
        lease_seconds: float | None,
        drain_seconds: float,
    ) -> None:
        self._owner = Owner(resources)
        self._worker = Worker(
            address,
            slots=concurrency,
            namespace=resources.namespace,
            lease_duration=lease_seconds,
            drain_grace=drain_seconds,
        )
        for topic in worker_topics:
            self._worker.handler(topic, raw=True)(self._owner.own)

    @property
    def owner_id(self) -> str:
        """The worker id under which it owns."""
        return self._worker.config.worker_id

    @property
    def owned(self) -> int:
        """How many executions it owns now."""
        return self._worker.stats().held

    async def __aenter__(self) -> Self:
        await self._worker.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hand everything on.

        Raises:
            WorkerRefused: If the server has refused it, unless the block has raised already.

        """
        try:
            await self.leave()
        except WorkerRefused:
            if error is None:
                raise
        finally:
            await self._owner.close()

    async def connected(self) -> None:
        """Return once the server has welcomed it.

        Raises:
            WorkerRefused: If the server has refused it.

        """
        await self._worker.connected()

    async def leave(self) -> None:
        """Claim nothing more, let local attempts that run come to their end, and hand everything on. Idempotent."""
        draining = asyncio.create_task(self._worker.drain())
        self._owner.leave()
        await draining

    def know(self, graph: CompiledGraph) -> None:
        """Run executions of this very graph with the operators that it has, whatever is registered."""
        self._owner.know(graph)

    def adopt(self, lease: lease_pb2.Lease, claimed_at: float) -> None:
        """Own an execution whose lease came with the reply to a call that was sent at `claimed_at` (monotonic)."""
        self._worker.adopt(lease, claimed_at)

    @staticmethod
    def now() -> float:
        """Give the time that `adopt` counts by."""
        return time.monotonic()
