"""What the server says about the work items of the demo."""

import asyncio
import json
from collections.abc import Iterable

import grpc

from bloge.remote_workers.v1.work_item_pb2 import WorkItem, WorkItemRef, WorkItemStatus
from bloge.remote_workers.v1.work_item_service_pb2 import GetRequest
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub

_LOOK_AGAIN_SECONDS = 0.05


class Items:
    """Reads the work items of one topic."""

    def __init__(self, channel: grpc.aio.Channel, topic: str) -> None:
        self._topic = topic
        self._service = WorkItemServiceStub(channel)

    async def get(self, item_id: str) -> WorkItem:
        """Read one item with its history."""
        item = WorkItemRef(worker_topic=self._topic, item_id=item_id)
        return (await self._service.Get(GetRequest(item=item))).item

    async def first_in_the_middle(self, item_ids: Iterable[str], answers: int) -> WorkItem:
        """Wait for an item that a worker holds and of which `answers` images or more are answered.

        Args:
            item_ids: The items, looked at again each time: more of them may come.
            answers: How many images.
        """
        while True:
            for item_id in tuple(item_ids):
                item = await self._find(item_id)
                if item and is_held(item) and answered(item) >= answers:
                    return item
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def taken_over(self, item_id: str, fence: int) -> WorkItem:
        """Wait for a later claim of an item than the one with this fence."""
        while True:
            item = await self.get(item_id)
            if item.fence > fence:
                return item
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _find(self, item_id: str) -> WorkItem | None:
        """Read an item, or answer None: a node's suspension is recorded before its item is enqueued."""
        try:
            return await self.get(item_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return None


def is_held(item: WorkItem) -> bool:
    """Tell whether a worker has a lease on the item and has confirmed that the item arrived."""
    return item.status == WorkItemStatus.WORK_ITEM_STATUS_CLAIMED and item.received


def answered(item: WorkItem) -> int:
    """Count the images that the item's workers have reported as answered so far."""
    return len(json.loads(item.progress)["digits"]) if item.progress else 0
