"""What a worker decides: which session to keep, what to run, stop and say. No I/O, no threads, no clock."""

import logging
from collections.abc import Iterable, Mapping
from math import inf
from random import Random

from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2
from bloge_worker._backoff import HEALTHY_AFTER, Backoff
from bloge_worker._credits import CreditWindow
from bloge_worker._drain import Drain, Phase
from bloge_worker._durations import seconds_of
from bloge_worker._effects import Effects, StreamEnd
from bloge_worker._holdings import Holdings
from bloge_worker._leases import HeldLease
from bloge_worker._reports import MAX_FRAME_BYTES
from bloge_worker._session import LEAVE_TIMEOUT, WELCOME_TIMEOUT, OfferGap, Session, nameable
from bloge_worker._twin import Twin
from bloge_worker.config import WorkerConfig
from bloge_worker.outcomes import Report

DEFAULT_MAX_PAYLOAD = 1024 * 1024
MOST_PAYLOAD = MAX_FRAME_BYTES - 64 * 1024
"""Whatever the server takes, an output must fit into a frame."""

_log = logging.getLogger("bloge_worker")


class WorkerCore:
    """The state of a worker over all its sessions.

    Feed it what happens (`receive`, `stream_ended`, `finished`, `progressed`, `drain`, `stop`), call `tick`, then do
    what `flush` returns, until `is_over`. Leases and reports outlive sessions; credits, receipts and heartbeats do not.

    Args:
        config: the worker's settings.
        topic_limits: the topics to serve, with how many items of each can run at once.
        random: gives all jitter.
    """

    def __init__(self, config: WorkerConfig, topic_limits: Mapping[str, int], random: Random) -> None:
        self.holdings = Holdings(random)
        self.sessions_opened = 0
        self.max_payload_bytes = DEFAULT_MAX_PAYLOAD
        self.refusal: StreamEnd | None = None
        self.heard_at = -inf
        """When a frame last came from the server, in whatever session."""
        self._config = config
        self._topic_limits = topic_limits
        self._silence_limit = WELCOME_TIMEOUT
        self._backoff = Backoff(random)
        self._connect_at = inf
        self._last_number = 0
        self._sessions: dict[int, Session] = {}
        self._active: Session | None = None
        self._drain = Drain()
        self._twin = Twin()
        self._effects = Effects()

    @property
    def is_over(self) -> bool:
        """True once the worker has nothing left to do: it has drained, or was refused."""
        return self.refusal is not None or self._drain.phase is Phase.OVER

    @property
    def is_connected(self) -> bool:
        """True while there is a welcomed session."""
        return self._active is not None

    @property
    def is_draining(self) -> bool:
        """True once the worker is leaving."""
        return self._drain.begun

    def is_healthy(self, now: float) -> bool:
        """Tell whether the server was heard within the silence limit, in whatever session."""
        return now - self.heard_at < self._silence_limit

    def start(self, now: float) -> None:
        """Begin: open the first session."""
        self._connect_at = now

    def receive(self, number: int, response: work_stream_pb2.WorkResponse, now: float) -> None:
        """Take a frame of a session."""
        session = self._sessions.get(number)
        if session is None:
            return
        self.heard_at = now
        session.heard(now)
        match response.WhichOneof("frame"):
            case "offers":
                self._offered(session, response.offers, now)
            case "verdicts":
                self.holdings.judged(response.verdicts.verdicts, now)
            case "cancels":
                self.holdings.cancelled(response.cancels)
            case "welcome":
                self._welcomed(session, response.welcome, now)
            case "ping":
                session.take_ping(response.ping)
            case "draining":
                self._server_leaves(session, response.draining, now)
            case _:
                _log.debug("a frame of a kind that this SDK does not know")

    def finished(self, held: HeldLease, report: Report | None, now: float) -> None:
        """Take the end of a handler: its report, or None if it was stopped."""
        self.holdings.finished(held, report, now, draining=self._drain.begun)

    def progressed(self, held: HeldLease, details: bytes) -> None:
        """Take progress of a handler."""
        self.holdings.progressed(held, details)

    def answered(self, verdicts: Iterable[lease_pb2.Verdict], now: float, *, wholly: bool) -> None:
        """Take the verdicts on reports by unary calls; `wholly` is false if some of the calls failed."""
        if wholly:
            self.heard_at = now
        self.holdings.judged(verdicts, now)
        self._twin.answered(self.holdings, now, wholly=wholly)

    def drain(self, now: float, grace: float) -> None:
        """Take no more work; hand back what has not ended after `grace` seconds. Idempotent."""
        if not self._drain.begin(now, grace):
            return
        _log.info("draining: %d items held, %g s of grace", len(self.holdings.leases), grace)
        self._effects.hand_back = True
        if self._active is not None:
            self._send(self._active, _drain_frame())

    def stop(self, now: float) -> None:
        """Stop all handlers, hand their items back and leave at once."""
        self.drain(now, 0.0)
        self._drain.hurry(now)
        self.holdings.stop_all()
        self.holdings.abandon_all(now)
        self._twin.hurry(now)

    def stream_ended(self, number: int, end: StreamEnd, now: float) -> None:
        """Take the end of a stream, whoever ended it and however."""
        session = self._sessions.pop(number, None)
        if session is None:
            return
        if session is self._active:
            self._active = None
            self.holdings.disconnected(session)
            self._twin.lost_session(now)
        self._note_health(session, now)
        if end.refused and not self.sessions_opened:
            self.refusal = end
            return
        if end.refused:
            _log.error("the server refuses this worker: %s: %s", end.code, end.message)
            self._backoff.slow_down()
        self._plan_session(session, end, now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        # Before a session is opened: Hello must not name a lease that has just run out.
        self.holdings.check(now, connected=self.is_connected or self._twin.is_due(now))
        if now >= self._connect_at:
            self._open_session(now)
        for session in list(self._sessions.values()):
            why = session.check(now)
            if why is not None:
                self._cut(session, why, now)
        self._advance_drain(now)

    def wakeup(self) -> float:
        """Return when `tick` has something to do, if nothing happens before."""
        sessions = (session.wakeup() for session in self._sessions.values())
        holdings = self.holdings.wakeup(connected=self.is_connected)
        return min(self._connect_at, holdings, self._twin.wakeup(self.holdings), self._drain.deadline, *sessions)

    def flush(self, now: float) -> Effects:
        """Return what is to be done, and forget it."""
        starts = self.holdings.take_starts(now)
        for session in self._sessions.values():
            self._send(session, *session.control_frames())
        if self._active is not None:
            self._flush_reports(self._active, now)
        elif self._twin.is_due(now):
            self._effects.unary = self._twin.take(self.holdings, now)
        effects, self._effects = self._effects, Effects()
        effects.starts = starts
        self.holdings.hand_over(effects)
        return effects

    def _flush_reports(self, session: Session, now: float) -> None:
        holdings = self.holdings
        holdings.send_progress(now)
        for frame in holdings.reports.frames(session.max_reports):
            session.asked(now)
            self._send(session, frame)
        if not self._drain.begun and not session.leaving:
            held = holdings.leases
            if (grant := session.credits.grant(len(held), held.payload_bytes, held.by_topic)) is not None:
                self._send(session, work_stream_pb2.WorkRequest(credits=grant))

    def _open_session(self, now: float) -> None:
        self._connect_at = inf
        self._last_number += 1
        session = Session(
            number=self._last_number,
            opened_at=now,
            credits=CreditWindow(self._config.slots, self._config.max_held_bytes, self._topic_limits),
            named=nameable(self.holdings.leases.kept()),
            last_heard=now,
        )
        self._sessions[session.number] = session
        self._effects.opens.append(session.number)
        self._send(session, session.hello(self._config, list(self._topic_limits)))

    def _welcomed(self, session: Session, welcome: work_stream_pb2.Welcome, now: float) -> None:
        if session.welcomed_at is not None:
            return
        session.welcome(welcome, now)
        _log.info("session %s open with server %s", welcome.session_id, welcome.server_version or "(no version)")
        self.sessions_opened += 1
        self._silence_limit = session.silence_limit
        self.max_payload_bytes = min(welcome.max_payload_bytes or DEFAULT_MAX_PAYLOAD, MOST_PAYLOAD)
        self.holdings.leases.heartbeat_interval = seconds_of(welcome.heartbeat_interval) or inf
        if self._active is not None:
            self._active.close_at = now + LEAVE_TIMEOUT
            self._effects.closes.append(self._active.number)
        self._active = session
        self._twin.found_session()
        self.holdings.resumed(session, welcome.held_leases)
        if self._drain.begun:
            self._send(session, _drain_frame())

    def _offered(self, session: Session, offers: work_stream_pb2.Offers, now: float) -> None:
        if session is not self._active:
            return  # Without a receipt the offer of a replaced session goes back by itself, at no cost.
        try:
            is_new = session.take_offer(offers.offer_sequence, now)
        except OfferGap as gap:
            self._cut(session, str(gap), now)
            return
        if is_new:
            self.holdings.offered(session, offers.leases, now, draining=self._drain.begun)

    def _server_leaves(self, session: Session, draining: work_stream_pb2.Draining, now: float) -> None:
        if draining.worker:
            _log.warning("asked to leave: %s", draining.reason or "an operator says so")
            self.drain(now, self._config.drain_grace)
            return
        if session.leaving:
            return
        session.leaving = True
        self._note_health(session, now)
        self._plan_session(session, StreamEnd("DRAINING", draining.reason or "the server is leaving"), now)

    def _cut(self, session: Session, why: str, now: float) -> None:
        self._effects.aborts.append(session.number)
        self.stream_ended(session.number, StreamEnd("BROKEN", why), now)

    def _plan_session(self, session: Session, end: StreamEnd, now: float) -> None:
        """Plan the session after one that ends, unless there is another to stay with."""
        if self.is_over:
            return
        stays = any(not each.leaving and each.close_at == inf for each in self._sessions.values())
        if stays or self._connect_at < inf:
            return
        delay = max(self._backoff.next_delay(), end.retry_delay)
        self._connect_at = now + delay
        what = "did not open" if session.welcomed_at is None else "ended"
        why = f"session with {self._config.address} {what} ({end.code}: {end.message})"
        _log.warning("%s; connecting again in %.1f s", why, delay)

    def _note_health(self, session: Session, now: float) -> None:
        if session.welcomed_at is not None and now - session.welcomed_at >= HEALTHY_AFTER:
            self._backoff.reset()

    def _advance_drain(self, now: float) -> None:
        phase = self._drain.advance(now, idle=self.holdings.is_empty)
        if phase is Phase.UNWINDING:
            self.holdings.stop_all()
        elif phase is Phase.FLUSHING:
            self.holdings.abandon_all(now)
            self._twin.hurry(now)
        elif phase is Phase.OVER:
            self._leave()

    def _leave(self) -> None:
        if not self.holdings.is_empty:
            _log.warning("left without verdicts on %d reports", len(self.holdings.reports))
        for session in self._sessions.values():
            ends = self._effects.aborts if session.welcomed_at is None else self._effects.closes
            ends.append(session.number)

    def _send(self, session: Session, *frames: work_stream_pb2.WorkRequest) -> None:
        self._effects.frames.extend((session.number, frame) for frame in frames)


def _drain_frame() -> work_stream_pb2.WorkRequest:
    return work_stream_pb2.WorkRequest(drain=work_stream_pb2.Drain(reason="the worker is leaving"))
