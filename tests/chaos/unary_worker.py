"""A worker on the unary calls: each claim goes to the next server, reports to whichever is in use."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import worker_service_pb2 as pb
from bloge.remote_workers.v1.worker_service_pb2_grpc import WorkerServiceStub
from chaos.acting import Held, Report, act
from chaos.calls import Servers, error_name, lease_facts, verdict_facts
from chaos.history import Recorder
from chaos.layout import LEASE_SECONDS, NAMESPACE, TOPICS
from support.wire import seconds

_WAIT_SECONDS = 0.8
_CALL_SECONDS = 2.0
_CLAIM_TRIES = 3
_TRIES = 8
_PAUSE_SECONDS = 0.15


class UnaryWorker:
    """Claims in a loop for each topic and runs what it gets side by side.

    Args:
        servers: where to call.
        worker_id: of this process life.
        slots: how many items it holds at once.
        recorder: the history.
    """

    def __init__(self, servers: Servers, worker_id: str, slots: int, recorder: Recorder) -> None:
        self._servers = servers
        self._worker_id = worker_id
        self._slots = slots
        self._recorder = recorder
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(*(self._claim_for_ever(topic) for topic in TOPICS))

    async def _claim_for_ever(self, topic: str) -> None:
        while True:
            room = (self._slots - len(self._running)) // len(TOPICS)
            if room < 1:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                continue
            for lease in await self._claim(topic, room):
                held = Held(lease, self._worker_id, lease.lease_duration.ToMilliseconds() / 1000)
                task = asyncio.create_task(act(held, self._tell))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _claim(self, topic: str, room: int) -> list[lease_pb2.Lease]:
        """Claim; repeat the same request if nobody answers, which must return the same leases."""
        request = pb.ClaimRequest(
            namespace=NAMESPACE,
            worker_topic=topic,
            worker_id=self._worker_id,
            max_items=room,
            lease_duration=seconds(LEASE_SECONDS),
            wait_timeout=seconds(_WAIT_SECONDS),
            request_id=uuid.uuid4().hex,
        )
        self._servers.turn()
        for _ in range(_CLAIM_TRIES):
            number = self._recorder.call("claim", worker=self._worker_id, mode="unary")
            try:
                response = await WorkerServiceStub(self._servers.channel).Claim(request, timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                await self._failed(number, error)
            else:
                self._recorder.answer(number, leases=[lease_facts(lease) for lease in response.leases])
                return list(response.leases)
        return []

    async def _tell(self, op: str, held: Held, report: Report) -> dict[str, Any] | None:
        for _ in range(_TRIES):
            number = self._recorder.call(op, **held.facts(op, report))
            try:
                response = await self._call(op)(_REQUESTS[op](reports=[report]), timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                await self._failed(number, error)
            else:
                facts = verdict_facts(response.verdicts[0])
                self._recorder.answer(number, **facts)
                if "error" not in facts:
                    return facts
                await asyncio.sleep(_PAUSE_SECONDS)
        return None

    def _call(self, op: str) -> Callable[..., Awaitable[Any]]:
        stub = WorkerServiceStub(self._servers.channel)
        calls: dict[str, Any] = {
            "heartbeat": stub.Heartbeat,
            "complete": stub.Complete,
            "fail": stub.Fail,
            "business_error": stub.Fail,
            "release": stub.Release,
        }
        call: Callable[..., Awaitable[Any]] = calls[op]
        return call

    async def _failed(self, number: int, error: grpc.RpcError) -> None:
        self._recorder.answer(number, error=error_name(error))
        self._servers.turn()
        await asyncio.sleep(_PAUSE_SECONDS)


_REQUESTS: dict[str, Any] = {
    "heartbeat": pb.HeartbeatRequest,
    "complete": pb.CompleteRequest,
    "fail": pb.FailRequest,
    "business_error": pb.FailRequest,
    "release": pb.ReleaseRequest,
}
