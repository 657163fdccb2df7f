"""The work items of executions, by way of the control plane."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.errors import ControlPlaneUnreachableError
from bloge_orchestrator.execution.happenings import OutcomeArrived
from bloge_orchestrator.execution.runner import Runner
from bloge_orchestrator.execution.work_items import outcome_of
from bloge_orchestrator.outcome_watch import ItemRef, OutcomeSource

_CANCEL_SECONDS = 5.0
"""How long the end of an execution may be held up by a server that is away."""

_log = logging.getLogger("bloge_orchestrator")


class WorkItemsOf:
    """The work items of a namespace.

    Args:
        control_plane: The server.
        namespace: The namespace.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane = control_plane
        self._namespace = namespace

    async def enqueue(self, items: Sequence[pb.WorkItemSpec]) -> list[RemoteWorkersError | None]:
        """Enqueue items; give for each one why it was refused for good, or None."""
        return await self._control_plane.enqueue(self._namespace, items)

    async def cancel(self, items: Iterable[tuple[str, str]], reason: str) -> None:
        """Withdraw items, given as topic and id, and acknowledge their outcomes; a failure is logged."""
        refs = [ItemRef(self._namespace, worker_topic, item_id) for worker_topic, item_id in items]
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self._control_plane.cancel(refs, reason)
        except (TimeoutError, ControlPlaneUnreachableError, RemoteWorkersError) as error:
            _log.warning("%d work items are left behind, they could not be cancelled: %s", len(refs), error)
            return
        self._control_plane.outcomes.acknowledge(refs)

    def acknowledge(self, worker_topic: str, item_id: str) -> None:
        """Say that an outcome is recorded."""
        self._control_plane.outcomes.acknowledge([ItemRef(self._namespace, worker_topic, item_id)])

    @contextmanager
    def watched(self, worker_topics: Iterable[str], execution_id: str, runner: Runner) -> Iterator[None]:
        """Bring the outcomes of an execution's items to its runner, while the block runs."""

        def deliver(outcome: pb.Outcome) -> None:
            runner.post(OutcomeArrived(outcome.item.worker_topic, outcome_of(outcome)))

        watch = self._control_plane.outcomes
        sources = [OutcomeSource(self._namespace, worker_topic, execution_id) for worker_topic in worker_topics]
        for source in sources:
            watch.add(source, deliver)
        try:
            yield
        finally:
            for source in sources:
                watch.remove(source)
