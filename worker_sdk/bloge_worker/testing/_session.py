"""One `Work` session of the fake control plane: credits, offers, receipts, signs of life. No I/O, no clock."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_worker._durations import duration_of
from bloge_worker._session import WORKER_DRAIN
from bloge_worker.testing._judgement import Token
from bloge_worker.testing._lease_table import MOST_CLAIM_BYTES, ClaimOrder, LeaseTable, Topic
from bloge_worker.testing._reporting import Report

MOST_REPORTS = 500
MISSED_OFFERS = 3
"""A session that lets so many offers lapse gets none until it answers a ping."""
_LAPSED_KEPT = 16
PING_PATIENCE = 1.5
"""Ping intervals of silence after which the server asks for a sign of life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Intervals of a session, in seconds."""

    lease: float = 30.0
    offer_lease: float = 5.0
    ping: float = 10.0
    silence: float = 30.0


class Offer(NamedTuple):
    """Leases on their way."""

    sequence: int
    tokens: list[str]
    lapses_at: float


class FakeSession:
    """The server's side of one stream.

    Args:
        hello: the worker's first frame.
        table: where its leases come from.
        timing: the intervals; the lease is the session's own.
        now: the time.
    """

    def __init__(self, hello: pb.Hello, table: LeaseTable, timing: Timing, now: float) -> None:
        self.namespace = hello.namespace or "default"
        self.worker_id = hello.worker_id
        self.urgent: deque[pb.WorkResponse] = deque()
        """Frames that go out before any offer."""
        self.error: RemoteWorkersError | None = None
        self.closed = False
        self._topics: deque[Topic] = deque((self.namespace, each) for each in dict.fromkeys(hello.worker_topics))
        self._capabilities = {WORKER_DRAIN}.intersection(hello.capabilities)
        self._table = table
        self._timing = timing
        self._items_granted = self._items_offered = 0
        self._topics_granted: dict[str, int] = {}
        self._topics_offered: Counter[str] = Counter()
        self._bytes_granted = self._bytes_offered = 0
        self._sequence = 0
        self._outstanding: deque[Offer] = deque()
        self._lapsed: deque[Offer] = deque(maxlen=_LAPSED_KEPT)
        self._held: set[str] = set()
        self._missed = 0
        self._draining = False
        self._heard_at = self._asked_at = now
        self._last_ping = self._awaited_ping = 0

    def welcome(self, hello: pb.Hello, session_id: str, now: float) -> None:
        """Answer the hello."""
        timing = self._timing
        held = [
            self._table.reporting.take(lease_pb2.HeartbeatReport(lease_token=each), now)
            for each in hello.held_lease_tokens
        ]
        self._held.update(
            token for token, verdict in zip(hello.held_lease_tokens, held, strict=True) if not verdict.reason
        )
        self._put(
            welcome=pb.Welcome(
                session_id=session_id,
                lease_duration=duration_of(timing.lease),
                heartbeat_interval=duration_of(timing.lease / 3),
                offer_lease_duration=duration_of(timing.offer_lease),
                ping_interval=duration_of(timing.ping),
                silence_limit=duration_of(timing.silence),
                max_payload_bytes=self._table.reporting.max_payload_bytes,
                max_batch_size=MOST_REPORTS,
                server_version="fake",
                capabilities=sorted(self._capabilities),
                held_leases=held,
            )
        )

    def take(self, frame: pb.WorkRequest, now: float) -> None:
        """Take a frame that follows the hello.

        Raises:
            RemoteWorkersError: PROTOCOL_VIOLATION.
        """
        self._heard_at = now
        match frame.WhichOneof("frame"):
            case "credits":
                self._grant(frame.credits)
            case "receipt":
                self._receive(frame.receipt.offer_sequence, now)
            case "reports":
                self._judge(frame.reports, now)
            case "drain":
                self._draining = True
            case "ping":
                self._take_ping(frame.ping)
            case other:
                raise RemoteWorkersError(
                    Reason.PROTOCOL_VIOLATION, f"frame {other or 'without content'} may not follow Hello"
                )

    def offers(self, now: float) -> pb.WorkResponse | None:
        """Return what can be offered now: items of the topic whose turn it is."""
        self._let_lapse(now)
        items = self._items_granted - self._items_offered
        if items <= 0 or self._draining or self._awaited_ping or self._missed >= MISSED_OFFERS:
            return None
        left = self._bytes_granted - self._bytes_offered if self._bytes_granted else MOST_CLAIM_BYTES
        # Else an item that is larger than all that the worker ever allows would wait for ever.
        any_size = not self._held
        # An even part for each topic, so that none takes all the room.
        part = -(-items // len(self._topics))
        order = ClaimOrder(
            worker_id=self.worker_id,
            max_items=part if left > 0 else int(any_size),
            lease=self._timing.lease,
            offer_lease=self._timing.offer_lease,
            max_bytes=max(0, min(left, MOST_CLAIM_BYTES)),
            any_size=any_size,
        )
        for _ in range(len(self._topics)):
            topic = self._topics[0]
            self._topics.rotate(-1)
            free = self._topic_room(topic[1], order.max_items)
            claimed = self._table.claim(topic, order._replace(max_items=free), now) if free > 0 else []
            if claimed:
                return self._offer([record.lease(now, self._timing.lease) for record in claimed], now)
        return None

    def stop(self, cancel: pb.LeaseCancel) -> None:
        """Tell the worker to stop a handler."""
        self._put(cancels=pb.Cancels(cancels=[cancel]))

    def ask_to_leave(self, reason: str) -> None:
        """Offer nothing more, and tell the worker that it should leave."""
        if WORKER_DRAIN in self._capabilities and not self._draining:
            self._put(draining=pb.Draining(worker=True, reason=reason))
        self._draining = True

    def tick(self, now: float) -> None:
        """Ping when it is time, and end the session when the worker has been silent for too long."""
        self._let_lapse(now)
        if now - self._heard_at >= self._timing.silence:
            self.closed = True
        deaf = self._missed >= MISSED_OFFERS and not self._awaited_ping
        if deaf or now >= self._ping_at:
            self._asked_at = now
            self._last_ping += 1
            self._awaited_ping = self._last_ping if deaf else self._awaited_ping
            self._put(ping=pb.Ping(ping_id=self._last_ping))

    def next_tick(self) -> float:
        """Return when `tick` has something to do."""
        lapse = self._outstanding[0].lapses_at if self._outstanding else self._ping_at
        return min(self._ping_at, lapse, self._heard_at + self._timing.silence)

    @property
    def _ping_at(self) -> float:
        # Who owes an answer is asked again, whatever else it says.
        since = self._asked_at if self._awaited_ping else max(self._asked_at, self._heard_at)
        return since + PING_PATIENCE * self._timing.ping

    def _grant(self, granted: pb.Credits) -> None:
        self._items_granted = max(self._items_granted, granted.items_total)
        self._bytes_granted = max(self._bytes_granted, granted.bytes_total)
        for each in granted.topics:
            self._topics_granted[each.worker_topic] = max(
                self._topics_granted.get(each.worker_topic, 0), each.items_total
            )

    def _topic_room(self, worker_topic: str, most: int) -> int:
        total = self._topics_granted.get(worker_topic)
        return most if total is None else min(most, total - self._topics_offered[worker_topic])

    def _offer(self, leases: list[lease_pb2.Lease], now: float) -> pb.WorkResponse:
        tokens = [lease.lease_token for lease in leases]
        self._sequence += 1
        self._items_offered += len(leases)
        self._topics_offered[leases[0].spec.worker_topic] += len(leases)
        self._bytes_offered += sum(len(lease.spec.payload) for lease in leases)
        self._outstanding.append(Offer(self._sequence, tokens, now + self._timing.offer_lease))
        self._held.update(tokens)
        return pb.WorkResponse(offers=pb.Offers(offer_sequence=self._sequence, leases=leases))

    def _receive(self, sequence: int, now: float) -> None:
        for offers in (self._lapsed, self._outstanding):
            while offers and offers[0].sequence <= sequence:
                self._missed = 0
                for token in offers.popleft().tokens:
                    self._confirm(token, now)

    def _confirm(self, lease_token: str, now: float) -> None:
        token = Token.parse(lease_token)
        assert token is not None, "it is one of ours"
        verdict = self._table.reporting.receive(token, now)
        if verdict.reason:
            self._held.discard(lease_token)
            self.stop(
                pb.LeaseCancel(
                    worker_topic=token.worker_topic, item_id=token.item_id, fence=token.fence, reason=verdict.reason
                )
            )

    def _judge(self, reports: pb.Reports, now: float) -> None:
        every: list[Report] = [*reports.heartbeats, *reports.completes, *reports.fails, *reports.releases]
        if len(every) > MOST_REPORTS:
            raise RemoteWorkersError(
                Reason.PROTOCOL_VIOLATION, f"Reports may hold up to {MOST_REPORTS}, got {len(every)}"
            )
        verdicts = pb.Verdicts()
        for report in every:
            verdict = verdicts.verdicts.add()
            verdict.CopyFrom(self._table.reporting.take(report, now))
            verdict.report_id = report.report_id
            if verdict.reason or not isinstance(report, lease_pb2.HeartbeatReport):
                self._held.discard(report.lease_token)
        self._put(verdicts=verdicts)

    def _take_ping(self, ping: pb.Ping) -> None:
        if ping.answer and ping.answer >= self._awaited_ping:
            self._awaited_ping = self._missed = 0
        if ping.ping_id:
            self._put(ping=pb.Ping(answer=ping.ping_id))

    def _let_lapse(self, now: float) -> None:
        """Count offers whose receipt did not come in time. A receipt that comes later is told that they are over."""
        while self._outstanding and self._outstanding[0].lapses_at <= now:
            offer = self._outstanding.popleft()
            self._held.difference_update(offer.tokens)
            self._lapsed.append(offer)
            self._missed += 1

    def _put(self, **frame: object) -> None:
        self.urgent.append(pb.WorkResponse(**frame))  # type: ignore[arg-type]  # one member by its name
