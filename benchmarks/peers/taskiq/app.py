"""taskiq on its Redis stream broker."""

import os

import taskiq_redis

from benchmarks.peers.contract import Surroundings, handle

_URL = f"unix://{Surroundings.read().store}"
BROKER = taskiq_redis.RedisStreamBroker(
    _URL, consumer_id="0", xread_block=50, xread_count=500, consumer_name=f"worker-{os.getpid()}"
).with_result_backend(taskiq_redis.RedisAsyncResultBackend(_URL, result_ex_time=3600))


async def _noop(item: str, pad: str) -> dict[str, str]:
    del pad
    return await handle(item)


NOOP = BROKER.register_task(_noop, task_name="noop")
