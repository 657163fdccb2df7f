"""The enqueuer: keeps a steady rate, repeats what was not answered, and cancels a few items."""

import asyncio

import grpc

from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from chaos.calls import Servers, error_name
from chaos.history import Recorder
from chaos.items import ItemSource
from chaos.layout import NAMESPACE

_TICK_SECONDS = 0.1
_CALL_SECONDS = 2.0
_PAUSE_SECONDS = 0.15
_CANCEL_AFTER_SECONDS = 0.05


class Enqueuer:
    """Enqueues items of a source.

    Args:
        servers: where to call.
        source: describes the items.
        recorder: the history.
    """

    def __init__(self, servers: Servers, source: ItemSource, recorder: Recorder) -> None:
        self._servers = servers
        self._source = source
        self._recorder = recorder
        self.acknowledged: dict[str, str] = {}
        """Topic of each item that the server said it has."""

    async def run(self, rate: float, duration: float) -> None:
        """Enqueue at a rate (items a second) for a time, then see every call through."""
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        async with asyncio.TaskGroup() as group:
            while (elapsed := loop.time() - began) < duration:
                due = int(elapsed * rate) - sent
                if due > 0:
                    sent += due
                    group.create_task(self._enqueue([self._source.next() for _ in range(due)]))
                await asyncio.sleep(_TICK_SECONDS)

    async def _enqueue(self, specs: list[work_item_pb2.WorkItemSpec]) -> None:
        cancelled = [spec for spec in specs if self._source.cancels()]
        while not await self._try(specs):
            self._servers.turn()
            await asyncio.sleep(_PAUSE_SECONDS)
        if cancelled:
            await asyncio.sleep(_CANCEL_AFTER_SECONDS)
            await self._cancel(cancelled)

    async def _try(self, specs: list[work_item_pb2.WorkItemSpec]) -> bool:
        numbers = [self._recorder.call("enqueue", **_facts(spec)) for spec in specs]
        request = pb.EnqueueRequest(namespace=NAMESPACE, items=specs)
        try:
            response = await WorkItemServiceStub(self._servers.channel).Enqueue(request, timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            for number in numbers:
                self._recorder.answer(number, error=error_name(error))
            return False
        for number, spec, result in zip(numbers, specs, response.results, strict=True):
            refused = result.error.message if result.HasField("error") else ""
            self._recorder.answer(number, created=result.created, refused=refused)
            if not refused:
                self.acknowledged[spec.item_id] = spec.worker_topic
        return True

    async def _cancel(self, specs: list[work_item_pb2.WorkItemSpec]) -> None:
        """Cancel once: a cancel without an answer may have happened or not, which a history must bear."""
        numbers = [self._recorder.call("cancel", item=spec.item_id) for spec in specs]
        refs = [
            work_item_pb2.WorkItemRef(namespace=NAMESPACE, worker_topic=spec.worker_topic, item_id=spec.item_id)
            for spec in specs
        ]
        try:
            stub = WorkItemServiceStub(self._servers.channel)
            response = await stub.Cancel(pb.CancelRequest(items=refs, reason="chaos"), timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            for number in numbers:
                self._recorder.answer(number, error=error_name(error))
            return
        for number, result in zip(numbers, response.results, strict=True):
            self._recorder.answer(number, cancelled=result.cancelled)


def _facts(spec: work_item_pb2.WorkItemSpec) -> dict[str, object]:
    suspend = spec.suspend_timeout.ToMilliseconds() / 1000 if spec.HasField("suspend_timeout") else None
    return {
        "item": spec.item_id,
        "does": spec.operator_ref,
        "budget": spec.retry_policy.attempts,
        "losses": spec.max_lease_losses,
        "suspend_s": suspend,
    }
