"""The thread that owns the core: it keeps leases alive whatever the user's event loop does."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue

from bloge.remote_workers.v1 import lease_pb2, work_stream_pb2
from bloge_worker._core import WorkerCore
from bloge_worker._dispatcher import Dispatcher
from bloge_worker._effects import Effects, StreamEnd
from bloge_worker._loop_watch import LoopWatch
from bloge_worker._transport import Stream, Transport

_LONGEST_WAIT = 60.0
_LEAVE_TIME = 2.0
"""Seconds that the streams have to end in good order when the worker ends."""

_log = logging.getLogger("bloge_worker")

Event = Callable[[float], object]
"""Something that happened; called on the lease keeper's thread with the time."""


class Inbox:
    """Where all other threads leave what happened."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Event] = SimpleQueue()

    def post(self, event: Event) -> None:
        """Leave an event. Never blocks."""
        self._events.put(event)

    def take_all(self, timeout: float) -> list[Event]:
        """Return all events so far; wait up to `timeout` seconds for the first."""
        try:
            events = [self._events.get(timeout=timeout)]
        except Empty:
            return []
        events.extend(self._events.get_nowait() for _ in range(self._events.qsize()))
        return events


class LeaseKeeper:
    """Runs the core: takes all that happened, lets the core decide once, and does what it says.

    It works in batches without ever waiting for one to fill: while it is busy the inbox fills, and the next turn has
    more to do at once.

    Args:
        core: what decides.
        dispatcher: starts and stops handlers.
        transport: opens streams.
        inbox: where events arrive.
        loop_watch: watches the user's event loop.
        clock: monotonic seconds.
        on_connected: called once, when the first session is open.
        on_end: called at the end, with the error if it is an unexpected one.
    """

    def __init__(  # noqa: PLR0913 - the joint of all parts
        self,
        *,
        core: WorkerCore,
        dispatcher: Dispatcher,
        transport: Transport,
        inbox: Inbox,
        loop_watch: LoopWatch,
        clock: Callable[[], float],
        on_connected: Callable[[], object],
        on_end: Callable[[Exception | None], object],
    ) -> None:
        self._core = core
        self._dispatcher = dispatcher
        self._transport = transport
        self._inbox = inbox
        self._loop_watch = loop_watch
        self._clock = clock
        self._on_connected: Callable[[], object] | None = on_connected
        self._on_end = on_end
        self._streams: dict[int, Stream] = {}
        self._thread = threading.Thread(target=self._run, name="bloge-lease-keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._core.start(self._clock())
            while not self._core.is_over:
                self._turn(self._core.wakeup())
            self._leave()
        except Exception as unexpected:  # noqa: BLE001 - a defect; the owner of the worker must learn of it
            _log.exception("the lease keeper failed")
            error = unexpected
        finally:
            for stream in self._streams.values():
                stream.abort()
            self._dispatcher.close()
            self._on_end(error)

    def _turn(self, until: float) -> None:
        for event in self._inbox.take_all(self._wait_time(until)):
            event(self._clock())
        now = self._clock()
        self._core.tick(now)
        self._apply(self._core.flush(now))
        if self._dispatcher.runs_on_loop:
            self._loop_watch.look(now)

    def _leave(self) -> None:
        """Let the streams end in good order: what was sent last is on its way."""
        until = self._clock() + _LEAVE_TIME
        while self._streams and self._clock() < until:
            self._turn(until)

    def _wait_time(self, until: float) -> float:
        if self._dispatcher.runs_on_loop:
            until = min(until, self._loop_watch.next_look)
        return min(max(0.0, until - self._clock()), _LONGEST_WAIT)

    def _apply(self, effects: Effects) -> None:
        for number in effects.opens:
            self._streams[number] = self._transport.open(number, self._frame_came, self._stream_ended)
        self._dispatcher.stop(effects.cancels)
        for number, frame in effects.frames:
            self._streams[number].send(frame)
        if effects.unary:
            self._transport.report(effects.unary, self._verdicts_came)
        if effects.starts:
            self._dispatcher.start(effects.starts)
        self._dispatcher.ask(effects.asks)
        if effects.hand_back:
            self._dispatcher.hand_back()
        self._end_streams(effects)
        if self._on_connected is not None and self._core.is_connected:
            self._on_connected()
            self._on_connected = None

    def _end_streams(self, effects: Effects) -> None:
        for number in effects.closes:
            self._streams[number].close()
        for number in effects.aborts:
            self._streams[number].abort()

    def _frame_came(self, number: int, frame: work_stream_pb2.WorkResponse) -> None:
        self._inbox.post(partial(self._core.receive, number, frame))

    def _verdicts_came(self, verdicts: list[lease_pb2.Verdict], wholly: bool) -> None:  # noqa: FBT001 - a callback
        self._inbox.post(lambda now: self._core.answered(verdicts, now, wholly=wholly))

    def _stream_ended(self, number: int, end: StreamEnd) -> None:
        self._inbox.post(lambda now: self._forget_stream(number, end, now))

    def _forget_stream(self, number: int, end: StreamEnd, now: float) -> None:
        del self._streams[number]
        self._core.stream_ended(number, end, now)
