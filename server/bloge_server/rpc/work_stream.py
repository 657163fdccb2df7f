"""One `Work` stream: reads the worker's frames, does what they say, writes the server's frames."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_server.dispatch import reporting
from bloge_server.dispatch.dispatcher import Claim, Room, Topic
from bloge_server.dispatch.reporting import Report
from bloge_server.dispatch.session import Session, Timing
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Heartbeat, Verdict
from bloge_server.domain.work_item import ClaimOrder, Lease
from bloge_server.rpc import reports as convert
from bloge_server.rpc.fields import MAX_BATCH
from bloge_server.rpc.frames import FrameQueue
from bloge_server.rpc.receipts import Receipts
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.workers import WorkerCard

WORKER_DRAIN = "worker-drain"
"""The worker knows `Draining.worker`; without it the frame would say that the server leaves."""
CAPABILITIES = frozenset({WORKER_DRAIN})
"""Optional features that this server knows."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What every session is told, durations in ms."""

    lease_ms: int
    offer_lease_ms: int
    ping_ms: int
    silence_ms: int
    max_payload_bytes: int
    server_version: str

    def timing(self, lease_ms: int) -> Timing:
        """Return the intervals of a session in seconds."""
        milliseconds = (lease_ms, self.offer_lease_ms, self.ping_ms, self.silence_ms)
        return Timing(*(each / 1000 for each in milliseconds))


class WorkStream:
    """A session at work. It is a claimer: the pump delivers to it what its credits allow.

    Args:
        store: where reports go.
        settings: what the session is told.
        hello: the worker's first frame, checked.
        namespace: the worker's.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: RedisStore,
        settings: StreamSettings,
        hello: pb.Hello,
        namespace: str,
        clock: Callable[[], float],
    ) -> None:
        self.namespace = namespace
        self.worker_id = hello.worker_id
        self.opened_ms = 0
        """When the store was told of it, by the store's clock: a later session of the same worker replaces it."""
        self.topics: list[Topic] = [(namespace, topic) for topic in dict.fromkeys(hello.worker_topics)]
        self.frames = FrameQueue()
        wanted = hello.lease_duration if hello.HasField("lease_duration") else None
        self.lease_ms = convert.clamp_lease_ms(wanted, settings.lease_ms)
        self.session = Session(settings.timing(self.lease_ms), clock())
        self.capabilities = CAPABILITIES.intersection(hello.capabilities)
        self.slots, self._sdk = hello.slots, hello.sdk
        self._store = store
        self._settings = settings
        self._clock = clock
        offer_lease = min(settings.offer_lease_ms, self.lease_ms) / 1000
        self._receipts = Receipts(store, offer_lease, clock, self._refuse_receipt)
        self._log = _log.bind(namespace=namespace, worker_id=hello.worker_id)

    # A claimer, for the pump.

    def room(self, topic: Topic) -> Room:
        """Return what of a topic may be offered now."""
        return self.session.room_of(topic[1], self._clock())

    def order(self, claim: Claim) -> ClaimOrder:
        """Return how to make a claim for this session."""
        _, _, max_items, max_bytes, any_size = claim
        offer_ms = self._settings.offer_lease_ms
        return ClaimOrder(self.worker_id, max_items, self.lease_ms, offer_ms, max_bytes, any_size)

    def deliver(self, topic: Topic, leases: list[Lease]) -> None:
        """Offer what was claimed."""
        tokens = [lease.token for lease in leases]
        # Payload bytes alone, as the worker counts them: what the two count apart would be lost for ever.
        sequence = self.session.offer(tokens, sum(len(lease.payload) for lease in leases), self._clock())
        frame = pb.WorkResponse()
        frame.offers.offer_sequence = sequence
        add = frame.offers.leases.add
        for lease in leases:
            convert.fill_lease(add(), topic[0], lease, self.lease_ms)
        self.frames.put(frame)

    # The stream.

    def card(self) -> WorkerCard:
        """Return what is known of the worker now."""
        session = self.session
        held, items = session.held(self._clock()), session.credits
        topics = tuple(topic for _, topic in self.topics)
        return WorkerCard(self.worker_id, topics, self.slots, self._sdk, held, items, session.draining)

    async def welcome(self, hello: pb.Hello, session_id: str) -> None:
        """Answer the hello: settings, and which of the leases still held to keep."""
        named = [convert.held(token) for token in hello.held_lease_tokens]
        held = await reporting.take_what_can_be(self._store, named)
        self._note_verdicts(named, held)
        settings = self._settings
        welcome = pb.Welcome(
            session_id=session_id,
            lease_duration=convert.duration(self.lease_ms),
            heartbeat_interval=convert.duration(self.lease_ms // 3),
            offer_lease_duration=convert.duration(settings.offer_lease_ms),
            ping_interval=convert.duration(settings.ping_ms),
            silence_limit=convert.duration(settings.silence_ms),
            max_payload_bytes=settings.max_payload_bytes,
            max_batch_size=MAX_BATCH,
            server_version=settings.server_version,
            capabilities=sorted(self.capabilities),
            held_leases=[convert.verdict(0, verdict) for verdict in held],
        )
        self.frames.put(pb.WorkResponse(welcome=welcome))

    async def read(self, requests: AsyncIterator[pb.WorkRequest], on_room: Callable[[], None]) -> None:
        """Take frames until the worker closes its side; `on_room` is called when there may be room for offers."""
        async for request in requests:
            await self.frames.room()
            self.session.heard(self._clock())
            if await self._take(request):
                on_room()

    async def _take(self, request: pb.WorkRequest) -> bool:
        """Take a frame; return whether there may be more room now."""
        match request.WhichOneof("frame"):
            case "credits":
                self._take_credits(request.credits)
            case "reports":
                await self._take_reports(request.reports)
            case "receipt":
                self._receipts.came(self.session.receive(request.receipt.offer_sequence))
            case "drain":
                self.session.drain()
                return False
            case "ping":
                return self._take_ping(request.ping)
            case other:
                raise RemoteWorkersError(
                    Reason.PROTOCOL_VIOLATION, f"frame {other or 'without content'} may not follow Hello"
                )
        return True

    async def watch_time(self, on_room: Callable[[], None]) -> None:
        """Ping, notice lapsed offers and leases, and return when the worker has been silent for too long.

        Or when the session was ended for another reason; that shows with the next ping.
        """
        held = 0
        while not self.frames.closed:
            now = self._clock()
            if self.session.silent(now):
                self._log.warning("session ended: worker silent for too long", limit_ms=self._settings.silence_ms)
                return
            ping_id = self.session.tick(now)
            if ping_id is not None:
                self.frames.put(pb.WorkResponse(ping=pb.Ping(ping_id=ping_id)))
            held, held_before = self.session.held(now), held
            if held < held_before:
                on_room()
            await asyncio.sleep(max(0.0, self.session.next_tick_at() - self._clock()))

    def stop(self, topic: Topic, item_id: str, fence: int, reason: Reason) -> None:
        """Tell the worker to stop a handler."""
        cancel = pb.LeaseCancel(worker_topic=topic[1], item_id=item_id, fence=fence, reason=reason.number)
        self.frames.put(pb.WorkResponse(cancels=pb.Cancels(cancels=[cancel])))

    def ask_to_cancel(self, topic: Topic, item_id: str, fence: int) -> None:
        """Tell the owner of an execution that it is to be cancelled."""
        asked = pb.CancelRequested(worker_topic=topic[1], item_id=item_id, fence=fence)
        self.frames.put(pb.WorkResponse(cancels=pb.Cancels(requests=[asked])))

    def say_draining(self, grace_ms: int, reason: str) -> None:
        """Tell the worker that this server is leaving."""
        self.session.drain()
        draining = pb.Draining(grace=convert.duration(grace_ms), reason=reason)
        self.frames.put(pb.WorkResponse(draining=draining))

    def ask_to_leave(self) -> None:
        """Offer nothing more, and tell the worker that somebody wants it to leave."""
        if not self.session.draining and WORKER_DRAIN in self.capabilities:
            draining = pb.Draining(worker=True, reason="an operator asked this worker to leave")
            self.frames.put(pb.WorkResponse(draining=draining))
        self.session.drain()

    def _take_credits(self, granted: pb.Credits) -> None:
        served = {topic for _, topic in self.topics}
        topics = [(each.worker_topic, each.items_total) for each in granted.topics if each.worker_topic in served]
        self.session.grant(granted.items_total, granted.bytes_total, topics)

    def _take_ping(self, ping: pb.Ping) -> bool:
        if ping.ping_id:
            self.frames.put(pb.WorkResponse(ping=pb.Ping(answer=ping.ping_id)))
        return bool(ping.answer) and self.session.answered(ping.answer)

    def _refuse_receipt(self, token: LeaseToken, reason: Reason) -> None:
        """Have the worker stop what was taken back before its receipt came."""
        self.session.end([token])
        self.stop((token.namespace, token.worker_topic), token.item_id, int(token.fence), reason)

    async def _take_reports(self, reports: pb.Reports) -> None:
        groups = (reports.heartbeats, reports.completes, reports.fails, reports.releases)
        ids = [report.report_id for group in groups for report in group]
        if len(ids) > MAX_BATCH:
            raise RemoteWorkersError(Reason.PROTOCOL_VIOLATION, f"Reports may hold up to {MAX_BATCH}, got {len(ids)}")
        complete = partial(convert.complete, max_payload_bytes=self._settings.max_payload_bytes)
        taken = [
            *convert.parsed(reports.heartbeats, convert.heartbeat),
            *convert.parsed(reports.completes, complete),
            *convert.parsed(reports.fails, convert.fail),
            *convert.parsed(reports.releases, convert.release),
        ]
        self._receipts.reported(report.token for report in taken if not isinstance(report, Verdict))
        verdicts = await reporting.take_what_can_be(self._store, taken)
        self._note_verdicts(taken, verdicts)
        frame = pb.WorkResponse()
        convert.fill_verdicts(frame.verdicts, ids, verdicts)
        self.frames.put(frame)

    def _note_verdicts(self, reports: Sequence[Report | Verdict], verdicts: Sequence[Verdict]) -> None:
        """Keep count of what the worker holds."""
        over: list[LeaseToken] = []
        extended: list[LeaseToken] = []
        for report, verdict in zip(reports, verdicts, strict=True):
            if isinstance(report, Verdict) or verdict.reason in reporting.NOT_JUDGED:
                continue
            goes_on = isinstance(report, Heartbeat) and verdict.accepted
            (extended if goes_on else over).append(report.token)
        self.session.end(over)
        self.session.extend(extended, self._clock())
