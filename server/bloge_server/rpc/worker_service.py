"""`WorkerService`: what workers say and ask."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import lease_pb2, worker_service_pb2, worker_service_pb2_grpc
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_server.dispatch import reporting
from bloge_server.dispatch.claims import ClaimPump
from bloge_server.dispatch.dispatcher import NO_ROOM, Claim, Room, Topic
from bloge_server.dispatch.reporting import Report
from bloge_server.domain.names import DEFAULT_NAMESPACE
from bloge_server.domain.reports import Verdict
from bloge_server.domain.work_item import ClaimOrder, Lease
from bloge_server.rpc import reports as convert
from bloge_server.rpc.boundary import stream, unary
from bloge_server.rpc.fields import MAX_BATCH, Checks
from bloge_server.rpc.sessions import Sessions
from bloge_server.rpc.work_stream import StreamSettings, WorkStream
from bloge_server.services.presence import Presence
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.workers import WorkerCard

_MAX_TOPICS = 64
_MAX_HELD = 10_000
_MAX_CAPABILITIES = 64
_MAX_WAIT_MS = 60_000
_LONG_TEXT = 128
_LAST_WORDS_SECONDS = 1.0
"""How long a session that is over may still write before its stream is cut: a worker that has stopped reading would
else keep it for ever."""


class _Waiter:
    """A unary claim that waits for its first item: a claimer for one delivery."""

    def __init__(self, order: ClaimOrder) -> None:
        self._order = order
        self.slots = 0
        self.claimed: asyncio.Future[list[Lease]] = asyncio.get_running_loop().create_future()

    def room(self, topic: Topic) -> Room:  # noqa: ARG002 - a waiter has one topic
        """Return what is wanted, nothing once it is there."""
        return NO_ROOM if self.claimed.done() else Room(self._order.max_items)

    def order(self, claim: Claim) -> ClaimOrder:
        """Return how to make a claim."""
        return self._order._replace(max_items=claim.max_items, max_bytes=claim.max_bytes)

    def deliver(self, topic: Topic, leases: list[Lease]) -> None:  # noqa: ARG002 - a waiter has one topic
        """Take what was claimed."""
        self.claimed.set_result(leases)


class WorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """Unary calls and streams of workers.

    Args:
        store: where leases live.
        pump: claims for streams and waiting calls.
        presence: where workers are listed.
        settings: what workers are told.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: RedisStore,
        pump: ClaimPump,
        presence: Presence,
        settings: StreamSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = Sessions(pump)
        self._store = store
        self._pump = pump
        self._presence = presence
        self._settings = settings
        self._clock = clock
        self._leaving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the server stops."""

    @unary
    async def Register(self, request: worker_service_pb2.RegisterRequest) -> worker_service_pb2.RegisterResponse:
        """Note a worker and tell it the settings."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        _check_worker(checks, request.worker_id, request.worker_topics, request.sdk)
        checks.done()
        topics = tuple(dict.fromkeys(request.worker_topics))
        await self._presence.register(namespace, WorkerCard(request.worker_id, topics, request.slots, request.sdk))
        return worker_service_pb2.RegisterResponse(
            lease_duration=convert.duration(self._settings.lease_ms),
            heartbeat_interval=convert.duration(self._settings.lease_ms // 3),
            max_payload_bytes=self._settings.max_payload_bytes,
            max_batch_size=MAX_BATCH,
            server_version=self._settings.server_version,
        )

    @unary
    async def Claim(self, request: worker_service_pb2.ClaimRequest) -> worker_service_pb2.ClaimResponse:
        """Claim items, waiting for the first if asked to. A worker that was asked to leave gets none, and is told."""
        checks = Checks()
        topic = (checks.namespace(request.namespace), checks.name("worker_topic", request.worker_topic))
        checks.name("worker_id", request.worker_id)
        checks.optional_name("request_id", request.request_id, "")
        max_items = checks.number("max_items", request.max_items or 1, 1, MAX_BATCH)
        wait_ms = checks.duration("wait_timeout", request.wait_timeout, 0, _MAX_WAIT_MS)
        checks.done()
        if self._presence.is_asked_to_leave(topic[0], request.worker_id):
            return worker_service_pb2.ClaimResponse(draining=True)
        self._presence.claimed(topic[0], request.worker_id, topic[1])
        wanted = request.lease_duration if request.HasField("lease_duration") else None
        lease_ms = convert.clamp_lease_ms(wanted, self._settings.lease_ms)
        order = ClaimOrder(request.worker_id, max_items, lease_ms, request_id=request.request_id)
        leases = (await self._store.claim(*topic, order)).leases
        if not leases and wait_ms:
            leases = await self._wait(topic, order, wait_ms / 1000)
        response = worker_service_pb2.ClaimResponse()
        for lease in leases:
            convert.fill_lease(response.leases.add(), topic[0], lease, lease.lease_ms)
        return response

    @unary
    async def Heartbeat(self, request: worker_service_pb2.HeartbeatRequest) -> worker_service_pb2.HeartbeatResponse:
        """Extend leases."""
        reports = convert.parsed(request.reports, convert.heartbeat)
        return worker_service_pb2.HeartbeatResponse(verdicts=await self._judge(reports))

    @unary
    async def Complete(self, request: worker_service_pb2.CompleteRequest) -> worker_service_pb2.CompleteResponse:
        """Take outputs."""
        complete = partial(convert.complete, max_payload_bytes=self._settings.max_payload_bytes)
        reports = convert.parsed(request.reports, complete)
        return worker_service_pb2.CompleteResponse(verdicts=await self._judge(reports))

    @unary
    async def Fail(self, request: worker_service_pb2.FailRequest) -> worker_service_pb2.FailResponse:
        """Take failures and business errors."""
        reports = convert.parsed(request.reports, convert.fail)
        return worker_service_pb2.FailResponse(verdicts=await self._judge(reports))

    @unary
    async def Release(self, request: worker_service_pb2.ReleaseRequest) -> worker_service_pb2.ReleaseResponse:
        """Take items back."""
        reports = convert.parsed(request.reports, convert.release)
        return worker_service_pb2.ReleaseResponse(verdicts=await self._judge(reports))

    @stream
    async def Work(self, requests: AsyncIterator[pb.WorkRequest]) -> AsyncIterator[pb.WorkResponse]:
        """Run one session."""
        hello = await self._hello(requests)
        namespace = hello.namespace or DEFAULT_NAMESPACE
        session = WorkStream(self._store, self._settings, hello, namespace, self._clock)
        session.opened_ms = await self._presence.register(namespace, session.card())
        await session.welcome(hello, secrets.token_hex(8))
        if self._presence.is_asked_to_leave(namespace, hello.worker_id):
            session.ask_to_leave()
        self.sessions.begin(session)
        background = [
            asyncio.create_task(self._read(session, requests)),
            asyncio.create_task(self._time(session, asyncio.current_task())),
            asyncio.create_task(self._presence.tell_servers(namespace, session.card(), session.opened_ms)),
        ]
        try:
            async for frame in session.frames.drain():
                yield frame
        finally:
            self.sessions.end(session)
            for part in background:
                part.cancel()

    async def drain(self, grace_seconds: float) -> None:
        """Ask every session to leave, and wait until they have or the grace is over. Claims wait no longer."""
        self._leaving.set_result(None)
        await self.sessions.drain(grace_seconds)

    async def _read(self, session: WorkStream, requests: AsyncIterator[pb.WorkRequest]) -> None:
        try:
            await session.read(requests, partial(self.sessions.roomy, session))
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream ends with it
            session.frames.close(error)
        else:
            session.frames.close()

    async def _time(self, session: WorkStream, stream: "asyncio.Task[object] | None") -> None:
        await session.watch_time(partial(self.sessions.roomy, session))
        self.sessions.end(session)
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        if stream is not None:
            stream.cancel()

    async def _hello(self, requests: AsyncIterator[pb.WorkRequest]) -> pb.Hello:
        """Return the first frame, checked."""
        if self._leaving.done():
            raise RemoteWorkersError(
                Reason.SERVER_DRAINING, "this server is stopping; connect to another", retry_delay_seconds=1
            )
        limit = self._settings.silence_ms / 1000
        try:
            async with asyncio.timeout(limit):
                first = await anext(aiter(requests), pb.WorkRequest())
        except TimeoutError:
            raise RemoteWorkersError(Reason.PROTOCOL_VIOLATION, f"no Hello within {limit:g} s") from None
        if first.WhichOneof("frame") != "hello":
            raise RemoteWorkersError(Reason.PROTOCOL_VIOLATION, "the first frame must be Hello")
        hello, checks = first.hello, Checks()
        checks.namespace(hello.namespace, "hello.namespace")
        _check_worker(checks, hello.worker_id, hello.worker_topics, hello.sdk, "hello.")
        if len(hello.held_lease_tokens) > _MAX_HELD:
            checks.wrong("hello.held_lease_tokens", f"must have up to {_MAX_HELD} entries")
        if len(hello.capabilities) > _MAX_CAPABILITIES:
            checks.wrong("hello.capabilities", f"must have up to {_MAX_CAPABILITIES} entries")
        checks.done()
        return hello

    async def _wait(self, topic: Topic, order: ClaimOrder, seconds: float) -> list[Lease]:
        """Wait in line for items of a topic."""
        waiter = _Waiter(order)
        claimer_id = self._pump.add([topic], waiter)
        try:
            either: list[asyncio.Future[Any]] = [waiter.claimed, self._leaving]
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pump.remove(claimer_id)
        return waiter.claimed.result() if waiter.claimed.done() else []

    async def _judge(self, reports: "list[Report | Verdict]") -> list[lease_pb2.Verdict]:
        checks = Checks()
        checks.batch("reports", len(reports))
        checks.done()
        return [convert.verdict(0, verdict) for verdict in await reporting.take(self._store, reports)]


def _check_worker(checks: Checks, worker_id: str, topics: Iterable[str], sdk: str, path: str = "") -> None:
    checks.name(f"{path}worker_id", worker_id)
    names = list(topics)
    checks.batch(f"{path}worker_topics", len(names), _MAX_TOPICS)
    for index, name in enumerate(names):
        checks.name(f"{path}worker_topics[{index}]", name)
    checks.text(f"{path}sdk", sdk, _LONG_TEXT)
