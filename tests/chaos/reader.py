"""Reads what a run left: every item as it stands, and what waits in the store."""

import asyncio
from collections.abc import Mapping

import grpc
from redis.asyncio import Redis

from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from bloge_server.store import keys
from chaos.calls import Servers, error_name, final_facts
from chaos.history import Recorder
from chaos.layout import GROUPS, NAMESPACE, TOPICS

_CALL_SECONDS = 2.0
_READERS = 16
_READ_TRIES = 3
_REST_TRIES = 50
_REST_PAUSE_SECONDS = 0.1
_INDEXES = ("ready", "leases", "retry", "deadlines", *(f"outbox:{group}" for group in GROUPS))


async def read_rest(store_port: int, recorder: Recorder) -> None:
    """Record how many entries wait in each index, once there are none or they do not go away."""
    async with Redis(port=store_port) as client:
        for topic in TOPICS:
            counts: dict[str, int] = {}
            for _ in range(_REST_TRIES):
                base = keys.topic_base(NAMESPACE, topic)
                counts = {index: int(await client.zcard(base + index)) for index in _INDEXES}
                if not any(counts.values()):
                    break
                await asyncio.sleep(_REST_PAUSE_SECONDS)
            recorder.event("at_rest", {"topic": topic}, **counts)


async def read_final(servers: Servers, topics: Mapping[str, str], recorder: Recorder) -> None:
    """Record every item as it stands, each in the topic it was enqueued to."""
    rest = iter(topics.items())

    async def read_all() -> None:
        for item_id, topic in rest:
            await _read(servers, item_id, topic, recorder)

    await asyncio.gather(*(read_all() for _ in range(_READERS)))


async def _read(servers: Servers, item_id: str, topic: str, recorder: Recorder) -> None:
    """Read one item; again if nobody answers, because a history without the end of an item proves little."""
    ref = work_item_pb2.WorkItemRef(namespace=NAMESPACE, worker_topic=topic, item_id=item_id)
    for _ in range(_READ_TRIES):
        number = recorder.call("final", item=item_id)
        try:
            found = await WorkItemServiceStub(servers.channel).Get(pb.GetRequest(item=ref), timeout=_CALL_SECONDS)
        except grpc.RpcError as error:
            recorder.answer(number, error=error_name(error))
            servers.turn()
        else:
            recorder.answer(number, **final_facts(found.item))
            return
