"""The work items of one execution, by way of the control plane."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Protocol

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.enqueuing import Enqueuer
from bloge_orchestrator.execution.happenings import Happening, OutcomeArrived
from bloge_orchestrator.execution.work_items import outcome_of
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeSource
from bloge_orchestrator.patience import Patience


class Listener(Protocol):
    """Takes what happens to an execution."""

    def post(self, happening: Happening) -> None:
        """Tell the execution what happened."""


class WorkItemsOf:
    """The work items of an execution.

    Args:
        control_plane: The server.
        enqueuer: Enqueues for every execution of the namespace.
        namespace: The execution's.
        execution_id: The execution; its outcomes go to the reply group of this name.
        random: Spreads the tries.
    """

    def __init__(
        self, control_plane: ControlPlane, enqueuer: Enqueuer, namespace: str, execution_id: str, random: Random
    ) -> None:
        self._control_plane = control_plane
        self._enqueuer = enqueuer
        self._namespace = namespace
        self._execution_id = execution_id
        self._random = random

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[RemoteWorkersError | None]:
        """Enqueue items; give for each one why it was refused for good, or None."""
        return await self._enqueuer.enqueue(items)

    async def cancel(self, items: Iterable[tuple[str, str]], reason: str) -> None:
        """Withdraw items, given as topic and id, and acknowledge their outcomes; waits for a server that is away.

        What is about to be enqueued is not; what is on its way has to arrive before it can be cancelled.
        """
        by_topic: defaultdict[str, list[str]] = defaultdict(list)
        for worker_topic, item_id in items:
            by_topic[worker_topic].append(item_id)
        await asyncio.gather(*(self._enqueuer.withdraw(*each) for each in by_topic.items()))
        refs = [ItemRef(self._namespace, topic, item_id) for topic, ids in by_topic.items() for item_id in ids]
        patience = Patience(f"work items of execution {self._execution_id} cannot be cancelled", self._random)
        await patience.insist(lambda: self._control_plane.cancel(refs, reason))
        self._control_plane.outcomes.acknowledge(refs)

    def acknowledge(self, worker_topic: str, item_id: str) -> None:
        """Say that an outcome is recorded."""
        self._control_plane.outcomes.acknowledge([ItemRef(self._namespace, worker_topic, item_id)])

    async def settle(self, worker_topics: Iterable[str]) -> None:
        """Return once no outcome of the execution is left that is not acknowledged."""
        await self._control_plane.outcomes.settle(self._sources(worker_topics))

    @contextmanager
    def watched(self, worker_topics: Iterable[str], listener: Listener) -> Iterator[None]:
        """Bring the outcomes of the execution's items to it, while the block runs."""

        def deliver(outcome: pb.Outcome) -> None:
            listener.post(OutcomeArrived(outcome.item.worker_topic, outcome_of(outcome)))

        watch = self._control_plane.outcomes
        sources = self._sources(worker_topics)
        for source in sources:
            watch.add(source, deliver)
        try:
            yield
        finally:
            for source in sources:
                watch.remove(source, deliver)

    def _sources(self, worker_topics: Iterable[str]) -> list[OutcomeSource]:
        return [OutcomeSource(self._namespace, topic, self._execution_id) for topic in worker_topics]
