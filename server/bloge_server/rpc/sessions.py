"""The open `Work` sessions of this server, one for each worker."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import suppress

import structlog

from bloge.remote_workers.errors import Reason
from bloge_server.dispatch.claims import ClaimPump
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.rpc.work_stream import WorkStream
from bloge_server.store.workers import WorkerCard

_log = structlog.get_logger(__name__)


class Sessions:
    """Knows each session by its worker, and has it claimed for.

    Args:
        pump: claims for sessions.
    """

    def __init__(self, pump: ClaimPump) -> None:
        self._pump = pump
        self._sessions: dict[tuple[str, str], WorkStream] = {}
        self._claimers: dict[WorkStream, int] = {}
        self._nobody = asyncio.Event()
        self._nobody.set()

    def begin(self, session: WorkStream) -> None:
        """Have a session take part. It replaces an earlier one of its worker."""
        name = (session.namespace, session.worker_id)
        if (earlier := self._sessions.get(name)) is not None:
            self.end(earlier)
        self._sessions[name] = session
        self._nobody.clear()
        self._claimers[session] = self._pump.add(session.topics, session)
        _log.info("session opened", **_names(session), worker_topics=[topic for _, topic in session.topics])

    def end(self, session: WorkStream) -> None:
        """Claim for a session no more, and let its stream end. Idempotent."""
        session.frames.close()
        claimer_id = self._claimers.pop(session, None)
        if claimer_id is None:
            return
        self._pump.remove(claimer_id)
        del self._sessions[session.namespace, session.worker_id]
        if not self._sessions:
            self._nobody.set()
        _log.info("session closed", **_names(session))

    def roomy(self, session: WorkStream) -> None:
        """Note that a session may have new room."""
        if (claimer_id := self._claimers.get(session)) is not None:
            self._pump.roomy(claimer_id)

    def stop_handler(self, topic: Topic, worker_id: str, item_id: str, fence: str, reason: str) -> None:
        """Pass on that a lease is over, if its worker has a session here."""
        if session := self._sessions.get((topic[0], worker_id)):
            session.stop(topic, item_id, int(fence), Reason(reason))

    def ask_to_cancel(self, topic: Topic, worker_id: str, item_id: str, fence: str) -> None:
        """Pass on that an execution is to be cancelled, if its owner has a session here."""
        if session := self._sessions.get((topic[0], worker_id)):
            session.ask_to_cancel(topic, item_id, int(fence))

    def opened_elsewhere(self, topic: Topic, worker_id: str, opened_ms: str) -> None:
        """Let go of a session whose worker has opened a later one, on another server as a rule."""
        session = self._sessions.get((topic[0], worker_id))
        if session is not None and session.opened_ms < int(opened_ms):
            self.end(session)

    def tell_to_leave(self, namespace: str, worker_id: str) -> None:
        """Ask a worker to leave, if it has a session here."""
        if session := self._sessions.get((namespace, worker_id)):
            session.ask_to_leave()

    @property
    def present(self) -> Collection[WorkStream]:
        """The open sessions."""
        return self._sessions.values()

    def cards(self) -> Iterator[tuple[str, WorkerCard]]:
        """Yield namespace and card of every worker that is here."""
        for session in self._sessions.values():
            yield session.namespace, session.card()

    async def drain(self, grace_seconds: float) -> None:
        """Ask every session to go elsewhere, and wait until they have or the grace is over."""
        for session in self._sessions.values():
            session.say_draining(int(grace_seconds * 1000), "the server is stopping")
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._nobody.wait()
        if self._sessions:
            _log.warning("sessions still open at the end of the drain", count=len(self._sessions))
        for session in list(self._sessions.values()):
            self.end(session)


def _names(session: WorkStream) -> dict[str, str]:
    return {"namespace": session.namespace, "worker_id": session.worker_id}
