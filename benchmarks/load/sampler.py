"""Looks at a running load once a second."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc

from benchmarks.load.enqueuer import NAMESPACE, Enqueuer
from benchmarks.load.fleet import Fleet
from benchmarks.load.ledger import Ledger
from benchmarks.processes import cpu_seconds, resident_bytes
from benchmarks.samples import Spread
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import ops_service_pb2_grpc

_PERIOD = 1.0
_CALL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TopicSample:
    """A topic at one instant, and what ended in it since the sample before."""

    ready: int = 0
    claimed: int = 0
    retry_wait: int = 0
    dead: int = 0
    oldest_s: float = 0.0
    """Age of the ready item that is next, seconds; 0 if none is ready."""
    latency: Spread | None = None
    """Of items that ended since the sample before, ms from planned arrival to outcome."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The load at one instant."""

    at: float
    """Seconds after the start."""
    sent: int
    """Items enqueued so far."""
    ended: int
    """Items that have ended so far."""
    topics: Mapping[str, TopicSample]
    cpu_s: Mapping[str, float]
    """Processor time used so far, by kind of process."""
    resident: Mapping[str, int]
    """Bytes in RAM, by kind of process."""


class Sampler:
    """Collects samples of a run.

    Args:
        channel: to the server.
        enqueuer: gives the time and what was sent.
        ledger: gives what ended.
        fleet: gives the processes of workers.
        server_processes: returns the server's processes, by what they are; none if it is another's.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        enqueuer: Enqueuer,
        ledger: Ledger,
        fleet: Fleet,
        server_processes: Callable[[], Mapping[str, list[int]]],
    ) -> None:
        self._ops = ops_service_pb2_grpc.OpsServiceStub(channel)
        self._enqueuer = enqueuer
        self._ledger = ledger
        self._fleet = fleet
        self._server_processes = server_processes
        self.samples: list[Sample] = []

    async def run(self, tell: Callable[[Sample, Sample], None]) -> None:
        """Sample once a second until cancelled; tell each sample with the one before it."""
        await self.take()
        while True:
            await asyncio.sleep(_PERIOD)
            await self.take()
            tell(self.samples[-2], self.samples[-1])

    async def take(self) -> None:
        """Take one sample; a server that does not answer gives zeros."""
        names = [name for name, _ in self._ledger.plan.profile.topics]
        fresh = self._ledger.take_fresh()
        views = await asyncio.gather(*(self._view(name) for name in names))
        topics = {
            name: TopicSample(*view, latency=Spread.of([ms for topic, ms in fresh if topic == place]))
            for place, (name, view) in enumerate(zip(names, views, strict=True))
        }
        pids = self._processes()
        self.samples.append(
            Sample(
                at=self._enqueuer.now,
                sent=self._enqueuer.sent,
                ended=self._ledger.ended,
                topics=topics,
                cpu_s={name: cpu_seconds(*found) for name, found in pids.items()},
                resident={name: resident_bytes(*found) for name, found in pids.items()},
            )
        )

    def _processes(self) -> dict[str, list[int]]:
        groups = {**self._server_processes(), "workers": self._fleet.pids, "idle workers": self._fleet.idle_pids}
        return {name: pids for name, pids in groups.items() if pids} | {"enqueuer": [os.getpid()]}

    async def _view(self, topic: str) -> tuple[int, int, int, int, float]:
        request = pb.GetTopicRequest(namespace=NAMESPACE, worker_topic=topic)
        try:
            view = (await self._ops.GetTopic(request, timeout=_CALL_SECONDS)).topic
        except grpc.aio.AioRpcError:
            return 0, 0, 0, 0, 0.0  # not there yet, or the server is away: the run goes on
        oldest = view.oldest_ready_age.ToMicroseconds() / 1e6
        return view.ready_count, view.claimed_count, view.retry_wait_count, view.dead_letter_count, oldest
