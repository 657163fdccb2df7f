"""A worker on the `Work` stream, with hand-written frames."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge.remote_workers.v1.worker_service_pb2_grpc import WorkerServiceStub
from chaos.acting import Held, Report, act
from chaos.calls import Servers, error_name, lease_facts, token_name, verdict_facts
from chaos.history import Recorder
from chaos.layout import LEASE_SECONDS, NAMESPACE, TOPICS
from support.wire import seconds

_PATIENCE_SECONDS = 10.0
_SILENCE_SECONDS = 2.0
_PING_SECONDS = 0.5
_PAUSE_SECONDS = 0.15
_DEAF_SHARE = 0.01
"""Share of the offers that the worker behaves as if it had never got them."""
_GROUPS = {
    "heartbeat": "heartbeats",
    "complete": "completes",
    "fail": "fails",
    "business_error": "fails",
    "release": "releases",
}


@dataclass(slots=True)
class _Pending:
    """A report without a verdict yet."""

    op: str
    held: Held
    report: Report
    verdict: "asyncio.Future[dict[str, Any]]"


@dataclass(slots=True)
class _Session:
    """One open stream."""

    opened: float
    outgoing: "asyncio.Queue[pb.WorkRequest]" = field(default_factory=asyncio.Queue)
    offer_seconds: float = 0.0
    credits: int = 0
    reported: dict[int, tuple[int, _Pending]] = field(default_factory=dict)
    """By report id: number of the call in the history, and the report."""
    next_id: int = 1

    async def write(self, call: Any) -> None:
        """Write frames to a stream until it ends."""
        with suppress(grpc.RpcError, asyncio.InvalidStateError):
            while True:
                await call.write(await self.outgoing.get())

    def send(self, **frame: Any) -> None:
        """Send a frame."""
        self.outgoing.put_nowait(pb.WorkRequest(**frame))


class StreamWorker:
    """Keeps one session to one server; every end of it leads to the next one.

    Args:
        servers: where to connect.
        worker_id: of this process life.
        slots: how many items it holds at once.
        recorder: the history.
    """

    def __init__(self, servers: Servers, worker_id: str, slots: int, recorder: Recorder) -> None:
        self._servers = servers
        self._worker_id = worker_id
        self._slots = slots
        self._recorder = recorder
        self._session: _Session | None = None
        self._pending: list[_Pending] = []
        self._held: dict[str, Held] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._dice = random.Random(worker_id)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            number = self._recorder.call("session", worker=self._worker_id)
            try:
                await self._run_session()
                self._recorder.answer(number, ended="by the server")
            except grpc.RpcError as error:
                self._recorder.answer(number, error=error_name(error))
            except TimeoutError:
                self._recorder.answer(number, error="silence")
            self._session = None
            self._servers.turn()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _run_session(self) -> None:
        session = _Session(asyncio.get_running_loop().time())
        held = list(self._held.values())
        hello = pb.Hello(namespace=NAMESPACE, worker_id=self._worker_id, worker_topics=TOPICS, slots=self._slots)
        hello.lease_duration.CopyFrom(seconds(LEASE_SECONDS))
        hello.held_lease_tokens.extend(each.lease.lease_token for each in held)
        session.send(hello=hello)
        call = WorkerServiceStub(self._servers.channel).Work()
        background = [asyncio.create_task(self._ping(session)), asyncio.create_task(session.write(call))]
        try:
            welcome = (await self._next(call)).welcome
            self._take_welcome(session, welcome, held)
            while True:
                frame = await self._next(call)
                if not self._take(session, frame):
                    return
        finally:
            for task in background:
                task.cancel()
            call.cancel()

    @staticmethod
    async def _next(call: Any) -> pb.WorkResponse:
        async with asyncio.timeout(_SILENCE_SECONDS):
            frame = await call.read()
        if not isinstance(frame, pb.WorkResponse):
            await call.code()  # the end of the stream; a failed one has raised
            return pb.WorkResponse(draining=pb.Draining(reason="ended"))
        return frame

    @staticmethod
    async def _ping(session: _Session) -> None:
        ping_id = 0
        while True:
            await asyncio.sleep(_PING_SECONDS)
            ping_id += 1
            session.send(ping=pb.Ping(ping_id=ping_id))

    def _take_welcome(self, session: _Session, welcome: pb.Welcome, held: list[Held]) -> None:
        session.offer_seconds = welcome.offer_lease_duration.ToMilliseconds() / 1000
        for each, verdict in zip(held, welcome.held_leases, strict=True):
            facts = {"item": each.item_id, "fence": each.lease.fence, "token": token_name(each.lease.lease_token)}
            self._recorder.event("heartbeat", facts, start=session.opened, **verdict_facts(verdict))
        self._session = session
        for pending in self._pending:
            self._send_report(session, pending)
        self._grant(session, self._slots - len(self._running))

    def _take(self, session: _Session, frame: pb.WorkResponse) -> bool:
        """Take a frame; return whether the session goes on."""
        kind = frame.WhichOneof("frame")
        if kind == "offers":
            self._take_offers(session, frame.offers)
        elif kind == "verdicts":
            self._take_verdicts(session, frame.verdicts)
        elif kind == "ping" and frame.ping.ping_id:
            session.send(ping=pb.Ping(answer=frame.ping.ping_id))
        elif kind == "cancels":
            for cancel in frame.cancels.cancels:
                self._recorder.event("told_to_stop", {"item": cancel.item_id, "fence": cancel.fence})
        return kind != "draining"

    def _take_verdicts(self, session: _Session, verdicts: pb.Verdicts) -> None:
        for verdict in verdicts.verdicts:
            number, pending = session.reported.pop(verdict.report_id)
            facts = verdict_facts(verdict)
            self._recorder.answer(number, **facts)
            if "error" in facts:
                asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._repeat, session, pending)
            elif not pending.verdict.done():
                pending.verdict.set_result(facts)

    def _repeat(self, session: _Session, pending: _Pending) -> None:
        """Send a report again that was not judged; a new session has repeated it already."""
        if session is self._session and pending in self._pending:
            self._send_report(session, pending)

    def _take_offers(self, session: _Session, offers: pb.Offers) -> None:
        facts = [lease_facts(lease, session.offer_seconds) for lease in offers.leases]
        request = {"worker": self._worker_id, "mode": "stream"}
        self._recorder.event("claim", request, start=session.opened, leases=facts)
        if self._dice.random() < _DEAF_SHARE:
            self._grant(session, len(offers.leases))
            return
        session.send(receipt=pb.Receipt(offer_sequence=offers.offer_sequence))
        for lease in offers.leases:
            task = asyncio.create_task(self._run(Held(lease, self._worker_id, LEASE_SECONDS)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, held: Held) -> None:
        self._held[held.lease.lease_token] = held
        try:
            await act(held, self._tell)
        finally:
            del self._held[held.lease.lease_token]
            if self._session is not None:
                self._grant(self._session, 1)

    def _grant(self, session: _Session, items: int) -> None:
        session.credits += max(0, items)
        session.send(credits=pb.Credits(items_total=session.credits))

    async def _tell(self, op: str, held: Held, report: Report) -> dict[str, Any] | None:
        pending = _Pending(op, held, report, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        if self._session is not None:
            self._send_report(self._session, pending)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    return await pending.verdict
        finally:
            self._pending.remove(pending)
        return None

    def _send_report(self, session: _Session, pending: _Pending) -> None:
        """Send a report under an id of its own, and note it as one call."""
        report_id, session.next_id = session.next_id, session.next_id + 1
        number = self._recorder.call(pending.op, **pending.held.facts(pending.op, pending.report))
        session.reported[report_id] = (number, pending)
        reports = pb.Reports()
        report = getattr(reports, _GROUPS[pending.op]).add()
        report.MergeFrom(pending.report)
        report.report_id = report_id
        session.send(reports=reports)
