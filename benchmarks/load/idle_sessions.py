"""Many workers that wait for items which never come, in one process: sessions without handlers behind them."""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import grpc

from bloge.remote_workers.v1 import work_stream_pb2 as frames
from bloge.remote_workers.v1 import worker_service_pb2_grpc

SESSIONS_PER_CONNECTION = 50
"""A server allows about 100 streams on one connection."""


class IdleSession:
    """One open session with credit for one item.

    Args:
        worker_id: of the worker that it stands for.
        worker_topic: what it serves.
    """

    def __init__(self, worker_id: str, worker_topic: str) -> None:
        self._outgoing: asyncio.Queue[frames.WorkRequest] = asyncio.Queue()
        self._hello = frames.Hello(worker_id=worker_id, worker_topics=[worker_topic], slots=1)
        self.open = asyncio.Event()

    async def run(self, stub: "worker_service_pb2_grpc.WorkerServiceAsyncStub") -> None:
        """Keep the session until cancelled."""
        async for response in stub.Work(self._requests()):
            kind = response.WhichOneof("frame")
            if kind == "welcome":
                self._outgoing.put_nowait(frames.WorkRequest(credits=frames.Credits(items_total=1)))
                self.open.set()
            elif kind == "ping" and response.ping.ping_id:
                self._outgoing.put_nowait(frames.WorkRequest(ping=frames.Ping(answer=response.ping.ping_id)))
        raise ConnectionError("the server ended a session")

    async def _requests(self) -> AsyncIterator[frames.WorkRequest]:
        yield frames.WorkRequest(hello=self._hello)
        while True:
            yield await self._outgoing.get()


async def keep(address: str, worker_topic: str, name: str, count: int) -> None:
    """Keep sessions until SIGTERM; say `ready` once all are open.

    Raises:
        ExceptionGroup: a session ended.
    """
    sessions = [IdleSession(f"{name}-{number}", worker_topic) for number in range(count)]
    async with asyncio.TaskGroup() as group:
        running = []
        for start in range(0, count, SESSIONS_PER_CONNECTION):
            # Channels of one process would share a connection if their settings were the same.
            channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
            running += [group.create_task(each.run(stub)) for each in sessions[start : start + SESSIONS_PER_CONNECTION]]
        for session in sessions:
            await session.open.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
        for task in running:
            task.cancel()


def main() -> None:
    """Read the flags and keep the sessions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(keep(options.address, options.topic, options.name, options.count))


if __name__ == "__main__":
    main()
