"""NATS JetStream: a broker with explicit acknowledgements; a job system is what one makes of it."""

import asyncio
import json
import signal

import nats
import uvloop
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from benchmarks.peers.contract import HOLD, Surroundings, handle

WORK, DONE, CONSUMER = "WORK", "DONE", "workers"
_FETCH_SECONDS = 1.0


async def streams(connection: "nats.NATS") -> None:
    """Make the streams, if they are not there: jobs until they are acknowledged, results for good."""
    context = connection.jetstream()
    await context.add_stream(StreamConfig(WORK, subjects=["work"], retention=RetentionPolicy.WORK_QUEUE))
    await context.add_stream(StreamConfig(DONE, subjects=["done.*"]))


async def work(where: Surroundings) -> None:
    """Fetch, run, keep the result, acknowledge, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    connection = await nats.connect(where.store)
    await streams(connection)
    context = connection.jetstream()
    config = ConsumerConfig(
        durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=where.lease_seconds or None, max_ack_pending=-1
    )
    await context.add_consumer(WORK, config)
    subscription = await context.pull_subscribe_bind(CONSUMER, WORK)

    async def hold(message: "nats.aio.msg.Msg") -> dict[str, str]:
        holding = asyncio.ensure_future(handle(json.loads(message.data)["item"]))
        while not (await asyncio.wait([holding], timeout=where.lease_seconds / 3))[0]:
            await message.in_progress()
        return await holding

    async def run(message: "nats.aio.msg.Msg") -> None:
        item_id = json.loads(message.data)["item"]
        result = await (hold(message) if item_id.startswith(HOLD) else handle(item_id))
        await connection.publish(f"done.{result['item']}", json.dumps(result).encode())
        await message.ack()

    running: set[asyncio.Task[None]] = set()
    while not stop.is_set():
        if len(running) == where.slots:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        try:
            messages = await subscription.fetch(where.slots - len(running), timeout=_FETCH_SECONDS)
        except TimeoutError:
            continue
        for message in messages:
            task = asyncio.create_task(run(message))
            running.add(task)
            task.add_done_callback(running.discard)
    await connection.close()


if __name__ == "__main__":
    uvloop.run(work(Surroundings.read()))
