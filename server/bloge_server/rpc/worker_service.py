"""`WorkerService`: what workers say and ask."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import lease_pb2, worker_service_pb2, worker_service_pb2_grpc
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_server.dispatch import reporting
from bloge_server.dispatch.claims import ClaimPump
from bloge_server.dispatch.dispatcher import MAX_CLAIM_BYTES, Room, Topic
from bloge_server.dispatch.reporting import Report
from bloge_server.domain.names import DEFAULT_NAMESPACE
from bloge_server.domain.reports import Verdict
from bloge_server.domain.work_item import ClaimOrder, Lease
from bloge_server.rpc import reports as convert
from bloge_server.rpc.boundary import stream, unary
from bloge_server.rpc.fields import MAX_BATCH, Checks
from bloge_server.rpc.work_stream import StreamSettings, WorkStream
from bloge_server.store.redis_store import RedisStore

_MAX_TOPICS = 64
_MAX_HELD = 10_000
_MAX_WAIT_MS = 60_000
_LONG_TEXT = 128

_log = structlog.get_logger(__name__)


class _Waiter:
    """A unary claim that waits for its first item: a claimer for one delivery."""

    def __init__(self, order: ClaimOrder) -> None:
        self._order = order
        self.claimed: asyncio.Future[list[Lease]] = asyncio.get_running_loop().create_future()

    def room(self) -> Room:
        """Return what is wanted, nothing once it is there."""
        return Room(0, 0) if self.claimed.done() else Room(self._order.max_items, MAX_CLAIM_BYTES)

    def order(self, max_items: int, max_bytes: int) -> ClaimOrder:
        """Return how to claim."""
        return self._order._replace(max_items=max_items, max_bytes=max_bytes)

    def deliver(self, topic: Topic, leases: list[Lease]) -> None:  # noqa: ARG002 - a waiter has one topic
        """Take what was claimed."""
        self.claimed.set_result(leases)


class WorkerService(worker_service_pb2_grpc.WorkerServiceServicer):
    """Unary calls and streams of workers.

    Args:
        store: where leases live.
        pump: claims for streams and waiting calls.
        settings: what workers are told.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: RedisStore,
        pump: ClaimPump,
        settings: StreamSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._pump = pump
        self._settings = settings
        self._clock = clock
        self._sessions: dict[tuple[str, str], WorkStream] = {}
        self._alone = asyncio.Event()
        self._alone.set()
        self._draining = False

    @unary
    async def Register(self, request: worker_service_pb2.RegisterRequest) -> worker_service_pb2.RegisterResponse:
        """Note a worker and tell it the settings."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        _check_worker(checks, request.worker_id, request.worker_topics, request.sdk)
        checks.done()
        await self._register(namespace, request.worker_id, request.worker_topics, request.slots, request.sdk)
        return worker_service_pb2.RegisterResponse(
            lease_duration=convert.duration(self._settings.lease_ms),
            heartbeat_interval=convert.duration(self._settings.lease_ms // 3),
            max_payload_bytes=self._settings.max_payload_bytes,
            max_batch_size=MAX_BATCH,
            server_version=self._settings.server_version,
        )

    @unary
    async def Claim(self, request: worker_service_pb2.ClaimRequest) -> worker_service_pb2.ClaimResponse:
        """Claim items, waiting for the first if asked to."""
        checks = Checks()
        topic = (checks.namespace(request.namespace), checks.name("worker_topic", request.worker_topic))
        checks.name("worker_id", request.worker_id)
        checks.optional_name("request_id", request.request_id, "")
        max_items = checks.number("max_items", request.max_items or 1, 1, MAX_BATCH)
        wait_ms = checks.duration("wait_timeout", request.wait_timeout, 0, _MAX_WAIT_MS)
        checks.done()
        wanted = request.lease_duration if request.HasField("lease_duration") else None
        lease_ms = convert.clamp_lease_ms(wanted, self._settings.lease_ms)
        order = ClaimOrder(request.worker_id, max_items, lease_ms, request_id=request.request_id)
        leases = (await self._store.claim(*topic, order)).leases
        if not leases and wait_ms and not self._draining:
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
        await self._register(namespace, hello.worker_id, hello.worker_topics, hello.slots, hello.sdk)
        await session.welcome(hello, secrets.token_hex(8))
        with self._present(session):
            background = [asyncio.create_task(part) for part in (self._read(session, requests), self._time(session))]
            try:
                async for frame in session.frames.drain():
                    yield frame
            finally:
                for part in background:
                    part.cancel()

    @property
    def sessions(self) -> Collection[WorkStream]:
        """The open sessions."""
        return self._sessions.values()

    def stop_handler(self, topic: Topic, worker_id: str, item_id: str, fence: str, reason: str) -> None:
        """Pass on that a lease is over, if its worker has a session here."""
        if session := self._sessions.get((topic[0], worker_id)):
            session.stop(topic, item_id, int(fence), Reason(reason))

    async def drain(self, grace_seconds: float) -> None:
        """Ask every session to leave, and wait until they have or the grace is over."""
        self._draining = True
        for session in self._sessions.values():
            session.say_draining(int(grace_seconds * 1000), "the server is stopping")
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._alone.wait()
        if self._sessions:
            _log.warning("sessions still open at the end of the drain", count=len(self._sessions))
        for session in self._sessions.values():
            session.frames.close()

    @contextmanager
    def _present(self, session: WorkStream) -> Iterator[None]:
        """Have a session take part: known by its worker's name, and claimed for."""
        name = (session.namespace, session.worker_id)
        if (earlier := self._sessions.get(name)) is not None:
            earlier.frames.close()
        self._sessions[name] = session
        self._alone.clear()
        claimer_id = self._pump.add(session.topics, session)
        log = _log.bind(namespace=session.namespace, worker_id=session.worker_id)
        log.info("session opened", worker_topics=[topic for _, topic in session.topics])
        try:
            yield
        finally:
            self._pump.remove(claimer_id)
            if self._sessions.get(name) is session:
                del self._sessions[name]
            if not self._sessions:
                self._alone.set()
            log.info("session closed")

    async def _read(self, session: WorkStream, requests: AsyncIterator[pb.WorkRequest]) -> None:
        try:
            await session.read(requests, self._pump.pump)
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream ends with it
            session.frames.close(error)
        else:
            session.frames.close()

    @staticmethod
    async def _time(session: WorkStream) -> None:
        await session.watch_time()
        session.frames.close()

    async def _hello(self, requests: AsyncIterator[pb.WorkRequest]) -> pb.Hello:
        """Return the first frame, checked."""
        if self._draining:
            raise RemoteWorkersError(
                Reason.SERVER_DRAINING, "this server is stopping; connect to another", retry_delay_seconds=1
            )
        first = await anext(aiter(requests), pb.WorkRequest())
        if first.WhichOneof("frame") != "hello":
            raise RemoteWorkersError(Reason.PROTOCOL_VIOLATION, "the first frame must be Hello")
        hello, checks = first.hello, Checks()
        checks.namespace(hello.namespace, "hello.namespace")
        _check_worker(checks, hello.worker_id, hello.worker_topics, hello.sdk, "hello.")
        if len(hello.held_lease_tokens) > _MAX_HELD:
            checks.wrong("hello.held_lease_tokens", f"must have up to {_MAX_HELD} entries")
        checks.done()
        return hello

    async def _wait(self, topic: Topic, order: ClaimOrder, seconds: float) -> list[Lease]:
        """Wait in line for items of a topic."""
        waiter = _Waiter(order)
        claimer_id = self._pump.add([topic], waiter)
        try:
            await asyncio.wait([waiter.claimed], timeout=seconds)
        finally:
            self._pump.remove(claimer_id)
        return waiter.claimed.result() if waiter.claimed.done() else []

    async def _judge(self, reports: "list[Report | Verdict]") -> list[lease_pb2.Verdict]:
        checks = Checks()
        checks.batch("reports", len(reports))
        checks.done()
        return [convert.verdict(0, verdict) for verdict in await reporting.take(self._store, reports)]

    async def _register(self, namespace: str, worker_id: str, topics: Iterable[str], slots: int, sdk: str) -> None:
        for topic in topics:
            await self._store.register(namespace, topic, worker_id, slots, sdk)


def _check_worker(checks: Checks, worker_id: str, topics: Iterable[str], sdk: str, path: str = "") -> None:
    checks.name(f"{path}worker_id", worker_id)
    names = list(topics)
    checks.batch(f"{path}worker_topics", len(names), _MAX_TOPICS)
    for index, name in enumerate(names):
        checks.name(f"{path}worker_topics[{index}]", name)
    checks.text(f"{path}sdk", sdk, _LONG_TEXT)
