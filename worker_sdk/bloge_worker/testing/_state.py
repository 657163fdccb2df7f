"""What the fake control plane's calls share: one lease table, its sessions, and the lock around both."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker._durations import seconds_of
from bloge_worker.testing._lease_table import LeaseTable
from bloge_worker.testing._reporting import clamp_lease
from bloge_worker.testing._session import FakeSession, Timing

_LONGEST_SLEEP = 60.0

Found = TypeVar("Found")


class State:
    """The lease table and the sessions. Every change wakes everybody who waits.

    Args:
        table: the work items.
        timing: what sessions are told.
        clock: monotonic seconds.
    """

    def __init__(self, table: LeaseTable, timing: Timing, clock: Callable[[], float]) -> None:
        self.table = table
        self.timing = timing
        self._clock = clock
        self._ahead = 0.0
        self._changed = threading.Condition()
        self._sessions: dict[tuple[str, str], FakeSession] = {}
        self._closed = False

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Hold the lock, yield the time, then pass on what has changed."""
        with self._changed:
            self._settle()
            try:
                yield self._now()
            finally:
                self._tell()

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        with self._changed:
            self._ahead += seconds
            self._settle()
            self._tell()

    def wait_for(self, find: "Callable[[float], Found]", seconds: float) -> "Found":
        """Return what `find` finds, once it is true; after so many seconds whatever it is.

        Args:
            find: asked with the time after every change, under the lock.
            seconds: how long to wait, on the control plane's clock.
        """
        with self._changed:
            until = self._now() + seconds
            while True:
                self._settle()
                found = find(self._now())
                if found or self._now() >= until or self._closed:
                    self._tell()
                    return found
                self._sleep(min(until, self.table.next_due()))

    def open_session(self, hello: work_stream_pb2.Hello, session_id: str) -> FakeSession:
        """Begin a session; it replaces an earlier one of its worker."""
        timing = self.timing
        if hello.HasField("lease_duration"):
            timing = replace(timing, lease=clamp_lease(seconds_of(hello.lease_duration)))
        with self.turn() as now:
            session = FakeSession(hello, self.table, timing, now)
            session.welcome(hello, session_id, now)
            session.closed = self._closed
            earlier = self._sessions.get((session.namespace, session.worker_id))
            if earlier is not None:
                earlier.closed = True
            self._sessions[session.namespace, session.worker_id] = session
            return session

    def next_frame(self, session: FakeSession) -> work_stream_pb2.WorkResponse | None:
        """Return a session's next frame, once there is one; None once the session has ended."""
        with self._changed:
            while True:
                self._settle()
                now = self._now()
                session.tick(now)
                if session.urgent:
                    return session.urgent.popleft()
                if session.closed:
                    return None
                if (offers := session.offers(now)) is not None:
                    self._tell()
                    return offers
                self._sleep(min(session.next_tick(), self.table.next_due()))

    def end(self, session: FakeSession) -> None:
        """End a session. Its leases stay: the worker may come back for them."""
        with self.turn():
            session.closed = True
            name = (session.namespace, session.worker_id)
            if self._sessions.get(name) is session:
                del self._sessions[name]

    def sessions(self) -> list[FakeSession]:
        """Return the open sessions. To be called within a turn."""
        return list(self._sessions.values())

    def close(self) -> None:
        """End all sessions and all waiting."""
        with self.turn():
            self._closed = True
            for session in self.sessions():
                session.closed = True

    def _now(self) -> float:
        return self._clock() + self._ahead

    def _settle(self) -> None:
        """Do what is due."""
        if self.table.next_due() <= self._now():
            self.table.settle(self._now())
            self._tell()

    def _tell(self) -> None:
        """Tell workers to stop, and wake everybody. Only for a change: who wakes for nothing must wake nobody."""
        stops, self.table.stops = self.table.stops, []
        for stop in stops:
            session = self._sessions.get((stop.namespace, stop.worker_id))
            if session is not None:
                session.stop(stop.cancel)
        self._changed.notify_all()

    def _sleep(self, until: float) -> None:
        self._changed.wait(min(max(0.0, until - self._now()), _LONGEST_SLEEP))
