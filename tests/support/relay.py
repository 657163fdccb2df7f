"""A gRPC man in the middle of workers and a server: passes each frame of a stream on as often as it is told to."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge.remote_workers.v1 import worker_service_pb2_grpc
from support.loops import LoopThread

Copies = Callable[[str], int]
"""Says how often a frame of a kind goes on: 0 drops it."""

FROM_WORKER = ("credits", "receipt", "reports", "drain", "ping")
"""Kinds that may come more than once; `hello` opens a stream and may not."""
FROM_SERVER = ("welcome", "offers", "verdicts", "cancels", "draining", "ping")


def once(kind: str) -> int:
    """Pass everything on."""
    del kind
    return 1


def twice(kind: str) -> int:
    """Repeat everything that may be repeated."""
    return 1 if kind == "hello" else 2


class Relay(worker_service_pb2_grpc.WorkerServiceServicer):
    """Stands between workers and one server.

    Args:
        target: the server's address.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self.up: Copies = once
        """For the worker's frames."""
        self.down: Copies = once
        """For the server's frames."""
        self.refusing_streams = False
        """Streams end at once; calls go on, as behind a proxy that knows no streams."""
        self.sent_up: Counter[str] = Counter()
        self.sent_down: Counter[str] = Counter()
        """What came, by kind."""
        self._server: grpc.aio.Server | None = None
        self._open: set[Any] = set()
        self.address = ""

    async def start(self) -> None:
        """Listen on any free port of the loopback interface."""
        self._channel = grpc.aio.insecure_channel(self._target)
        self._stub = worker_service_pb2_grpc.WorkerServiceStub(self._channel)
        self._server = grpc.aio.server()
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    async def stop(self) -> None:
        """Listen no more."""
        assert self._server is not None
        await self._server.stop(grace=0)
        await self._channel.close()

    def cut_streams(self) -> None:
        """End the open streams."""
        for call in self._open:
            call.cancel()

    async def Work(self, requests: Any, context: Any) -> AsyncIterator[pb.WorkResponse]:  # noqa: N802 - gRPC's name
        """Pass a stream on."""
        if self.refusing_streams:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no streams here")
        call: Any = self._stub.Work()
        self._open.add(call)
        upwards = asyncio.create_task(self._pass_up(requests, call))
        try:
            async for frame in call:
                kind = frame.WhichOneof("frame") or ""
                self.sent_down[kind] += 1
                for _ in range(self.down(kind)):
                    yield frame
        except grpc.aio.AioRpcError as error:
            await context.abort(error.code(), error.details() or "", error.trailing_metadata())
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
        finally:
            self._open.discard(call)
            upwards.cancel()
            call.cancel()

    async def _pass_up(self, requests: AsyncIterator[pb.WorkRequest], call: Any) -> None:
        async for frame in requests:
            kind = frame.WhichOneof("frame") or ""
            self.sent_up[kind] += 1
            for _ in range(self.up(kind)):
                await call.write(frame)
        await call.done_writing()

    async def Heartbeat(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's signature
        """Pass a call on."""
        return await self._stub.Heartbeat(request)

    async def Complete(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's signature
        """Pass a call on."""
        return await self._stub.Complete(request)

    async def Fail(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's signature
        """Pass a call on."""
        return await self._stub.Fail(request)

    async def Release(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's signature
        """Pass a call on."""
        return await self._stub.Release(request)

    async def Register(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's signature
        """Pass a call on."""
        return await self._stub.Register(request)

    async def Claim(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's signature
        """Pass a call on."""
        return await self._stub.Claim(request)


class RelayInThread:
    """A relay that blocking code can handle."""

    def __init__(self, loop: LoopThread, relay: Relay) -> None:
        self._loop = loop
        self.relay = relay
        self.address = relay.address

    def cut_streams(self) -> None:
        """End the open streams."""
        self._loop.call(self.relay.cut_streams)


@contextmanager
def running_relay(target: str) -> Iterator[RelayInThread]:
    """Yield a relay before a server."""
    with LoopThread() as loop:
        relay = Relay(target)
        loop.run(relay.start())
        try:
            yield RelayInThread(loop, relay)
        finally:
            loop.run(relay.stop())
