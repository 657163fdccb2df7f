"""One `WatchOutcomes` stream that all executions of a process share."""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import grpc

from bloge.remote_workers.status import from_rpc_error
from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge_orchestrator.backoff import FullJitter

if TYPE_CHECKING:  # the asynchronous stubs are a fiction of their type declarations
    from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceAsyncStub

_BATCH = 500
_REMEMBERED = 10_000
"""Acknowledgements that are sent again after a reconnect: far more than can be on their way at once."""
_ACKNOWLEDGE_SECONDS = 0.05
"""So long acknowledgements wait for others: each frame costs the server and its store a call; nobody waits for it."""
_CLOSE_SECONDS = 5.0

_log = logging.getLogger("bloge_orchestrator")


class OutcomeSource(NamedTuple):
    """Where outcomes come from."""

    namespace: str
    worker_topic: str
    reply_group: str


class ItemRef(NamedTuple):
    """Names one work item."""

    namespace: str
    worker_topic: str
    item_id: str

    def to_proto(self) -> work_item_pb2.WorkItemRef:
        """Return the name as the wire has it."""
        return work_item_pb2.WorkItemRef(namespace=self.namespace, worker_topic=self.worker_topic, item_id=self.item_id)


WatchCall = grpc.aio.StreamStreamCall[pb.WatchOutcomesRequest, pb.WatchOutcomesResponse]

Deliver = Callable[[work_item_pb2.Outcome], None]
"""Takes an outcome; one may come more than once."""


class WatchState:
    """What is watched and acknowledged, and what of it the server still has to be told. No I/O."""

    def __init__(self) -> None:
        self._wanted: dict[OutcomeSource, Deliver] = {}
        self._added: dict[OutcomeSource, None] = {}
        self._removed: dict[OutcomeSource, None] = {}
        self._caught_up: set[OutcomeSource] = set()
        self._acknowledged: deque[ItemRef] = deque(maxlen=_REMEMBERED)
        self._unsent: deque[ItemRef] = deque()

    @property
    def sources(self) -> Mapping[OutcomeSource, Deliver]:
        """What is watched, with who takes its outcomes."""
        return self._wanted

    @property
    def fills_a_frame(self) -> bool:
        """Whether waiting brings no larger frame of acknowledgements."""
        return len(self._unsent) >= _BATCH

    def add(self, source: OutcomeSource, deliver: Deliver) -> None:
        """Watch a source."""
        self._wanted[source] = deliver
        self._removed.pop(source, None)
        self._added[source] = None
        self._caught_up.discard(source)

    def remove(self, source: OutcomeSource) -> None:
        """Watch a source no more."""
        if self._wanted.pop(source, None) is None:
            return
        self._caught_up.discard(source)
        if source in self._added:
            del self._added[source]
        else:
            self._removed[source] = None

    def acknowledge(self, items: Iterable[ItemRef]) -> None:
        """Note that the outcomes of these items are recorded."""
        for item in items:
            self._acknowledged.append(item)
            self._unsent.append(item)

    def catch_up(self, sources: Iterable[OutcomeSource]) -> None:
        """Note that all outcomes that were there when a source was added have come."""
        self._caught_up.update(source for source in sources if source in self._wanted)

    def has_caught_up(self, source: OutcomeSource) -> bool:
        """Tell whether a source has brought what was there when it was added to this stream."""
        return source in self._caught_up

    def is_unsaid(self, source: OutcomeSource) -> bool:
        """Tell whether the server has not been told of a source yet."""
        return source in self._added

    def reconnected(self) -> None:
        """Forget what an earlier stream was told: it may not have arrived."""
        self._caught_up.clear()
        self._added = dict.fromkeys(self._wanted)
        self._removed.clear()
        self._unsent = deque(self._acknowledged)

    def next_frame(self) -> pb.WatchOutcomesRequest | None:
        """Return what the server is to be told next; None if it knows everything.

        Acknowledgements go first, so that a source that is added does not bring what is done with already.
        """
        if self._unsent:
            batch = [self._unsent.popleft().to_proto() for _ in range(min(_BATCH, len(self._unsent)))]
            return pb.WatchOutcomesRequest(acknowledge=pb.OutcomeAcknowledgements(items=batch))
        if self._removed:
            return pb.WatchOutcomesRequest(remove=_sources(_taken(self._removed)))
        if self._added:
            return pb.WatchOutcomesRequest(add=_sources(_taken(self._added)))
        return None


def _taken(sources: dict[OutcomeSource, None]) -> list[OutcomeSource]:
    """Take the next batch out of some sources."""
    batch = list(islice(sources, _BATCH))
    for source in batch:
        del sources[source]
    return batch


def _sources(sources: Iterable[OutcomeSource]) -> pb.OutcomeSources:
    return pb.OutcomeSources(
        sources=[
            pb.OutcomeSource(namespace=each.namespace, worker_topic=each.worker_topic, reply_group=each.reply_group)
            for each in sources
        ]
    )


class OutcomeWatch:
    """Keeps the stream up for as long as it is open: every end of it is a reason to connect again.

    Args:
        stub: the service.
        random: spreads the reconnects.
    """

    def __init__(self, stub: "WorkItemServiceAsyncStub", random: Random) -> None:
        self._stub = stub
        self._state = WatchState()
        self._news = asyncio.Event()
        self._backoff = FullJitter(random)
        self._closing = False
        self._awaited: dict[OutcomeSource, asyncio.Future[None]] = {}
        """Who waits for a source to catch up."""
        self._last_marker: OutcomeSource | None = None
        self._saying: asyncio.TimerHandle | None = None
        """What will say the acknowledgements that wait."""
        self._task: asyncio.Task[None] | None = None

    def add(self, source: OutcomeSource, deliver: Deliver) -> None:
        """Watch a source; its unacknowledged outcomes come at once."""
        self._state.add(source, deliver)
        if self._task is None:
            self._task = asyncio.create_task(self._keep_up(), name="bloge-outcome-watch")
        self._news.set()

    def remove(self, source: OutcomeSource, deliver: Deliver) -> None:
        """Watch a source no more, unless somebody else has begun to take its outcomes."""
        if self._state.sources.get(source) is deliver:
            self._state.remove(source)
            self._news.set()

    def acknowledge(self, items: Iterable[ItemRef]) -> None:
        """Tell the server, in a moment or when it is there again, that outcomes are recorded."""
        self._state.acknowledge(items)
        if self._state.fills_a_frame:
            self._news.set()
        elif self._saying is None:
            self._saying = asyncio.get_running_loop().call_later(_ACKNOWLEDGE_SECONDS, self._say)

    def _say(self) -> None:
        self._saying = None
        self._news.set()

    async def settle(self, sources: Sequence[OutcomeSource]) -> None:
        """Return once these sources have brought what was there, and every acknowledgement so far has arrived.

        Waits for a server that is away.
        """
        for source in sources:
            await self._caught_up(source)
        if sources:
            marker = self._marker(sources[0])
            await self._caught_up(marker)
            self.remove(marker, _ignore)

    def _marker(self, like: OutcomeSource) -> OutcomeSource:
        """Watch a source of nothing: the server takes frames in order, so it is caught up after all that was said.

        One that is not on its way yet serves everybody: acknowledgements go before it.
        """
        if self._last_marker is None or not self._state.is_unsaid(self._last_marker):
            self._last_marker = like._replace(reply_group=f"settled-{uuid.uuid4()}")
            self.add(self._last_marker, _ignore)
        return self._last_marker

    async def _caught_up(self, source: OutcomeSource) -> None:
        if not self._state.has_caught_up(source):
            waiting = self._awaited.setdefault(source, asyncio.get_running_loop().create_future())
            await asyncio.shield(waiting)

    async def close(self) -> None:
        """Send what is left to be said and end the stream; gives up after 5 s."""
        if self._task is None:
            return
        self._closing = True
        self._news.set()
        await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _keep_up(self) -> None:
        """Run one stream after the other. Only a close ends it."""
        while True:
            self._state.reconnected()
            try:
                await self._run_stream()
                cause = "the server ended the stream"
            except grpc.aio.AioRpcError as error:
                cause = str(from_rpc_error(error))
            except Exception as error:  # noqa: BLE001 - without the stream every execution would wait for ever
                cause = repr(error)
            if self._closing:
                return
            delay = self._backoff.next_delay()
            _log.warning("outcomes cannot be watched for now: %s; trying again in %.1f s", cause, delay)
            await asyncio.sleep(delay)

    async def _run_stream(self) -> None:
        call = self._stub.WatchOutcomes()
        writing = asyncio.create_task(self._write(call))
        try:
            async for response in call:
                self._backoff.reset()
                for outcome in response.outcomes:
                    self._deliver(outcome)
                self._catch_up(response.caught_up)
        finally:
            call.cancel()
            writing.cancel()
            # A write fails when the call does, and the call's own end says why.
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, call: "WatchCall") -> None:
        while True:
            self._news.clear()
            while (frame := self._state.next_frame()) is not None:
                await call.write(frame)
            if self._closing:
                await call.done_writing()
                return
            await self._news.wait()

    def _catch_up(self, told: Iterable[pb.OutcomeSource]) -> None:
        sources = [OutcomeSource(each.namespace, each.worker_topic, each.reply_group) for each in told]
        self._state.catch_up(sources)
        for source in sources:
            waiting = self._awaited.pop(source, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _deliver(self, outcome: work_item_pb2.Outcome) -> None:
        source = OutcomeSource(outcome.item.namespace, outcome.item.worker_topic, outcome.reply_group)
        deliver = self._state.sources.get(source)
        if deliver is None:
            return
        try:
            deliver(outcome)
        except Exception:  # noqa: BLE001 - one outcome that cannot be taken must not hold up those of other executions
            _log.exception("the outcome of work item %s cannot be taken; it stays unacknowledged", outcome.item.item_id)


def _ignore(_: work_item_pb2.Outcome) -> None:
    """Take nothing: a marker has no outcomes."""
