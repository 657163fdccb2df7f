"""The outcome watcher, and the operator of dead letters."""

import asyncio

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import ops_service_pb2, ops_service_pb2_grpc, work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from chaos.calls import Servers, error_name, outcome_facts
from chaos.history import Recorder
from chaos.layout import GROUPS, NAMESPACE, TOPICS

_PAUSE_SECONDS = 0.15
_CALL_SECONDS = 2.0
_REPLAY_SECONDS = 0.7
_REPLAY_AGE_SECONDS = 1.2
"""Longer than the scripted late outputs take, so that they find their dead letter."""


class Watcher:
    """Records and acknowledges every outcome.

    Args:
        servers: where to watch; the next one after each end of the stream.
        recorder: the history.
    """

    def __init__(self, servers: Servers, recorder: Recorder) -> None:
        self._servers = servers
        self._recorder = recorder
        self.ended: set[str] = set()
        """Items that had their outcome."""
        self.changed = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            number = self._recorder.call("watch")
            try:
                await self._watch()
                self._recorder.answer(number, ended="by the server")
            except grpc.RpcError as error:
                self._recorder.answer(number, error=error_name(error))
            self._servers.turn()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _watch(self) -> None:
        sources = [
            pb.OutcomeSource(namespace=NAMESPACE, worker_topic=topic, reply_group=group)
            for topic in TOPICS
            for group in GROUPS
        ]
        call = WorkItemServiceStub(self._servers.channel).WatchOutcomes()
        await call.write(pb.WatchOutcomesRequest(add=pb.OutcomeSources(sources=sources)))
        async for frame in call:
            for outcome in frame.outcomes:
                self._recorder.event("outcome", {"item": outcome.item.item_id}, **outcome_facts(outcome))
                self.ended.add(outcome.item.item_id)
            if frame.outcomes:
                acknowledged = pb.OutcomeAcknowledgements(items=[outcome.item for outcome in frame.outcomes])
                await call.write(pb.WatchOutcomesRequest(acknowledge=acknowledged))
                self.changed.set()


async def replay_for_ever(servers: Servers, recorder: Recorder) -> None:
    """Put dead letters back that lost leases made, as a person would who knows that workers crashed."""
    while True:
        await asyncio.sleep(_REPLAY_SECONDS)
        for topic in TOPICS:
            try:
                await _replay(ops_service_pb2_grpc.OpsServiceStub(servers.channel), topic, recorder)
            except grpc.RpcError:
                servers.turn()


async def _replay(stub: "ops_service_pb2_grpc.OpsServiceAsyncStub", topic: str, recorder: Recorder) -> None:
    until = Timestamp()
    until.GetCurrentTime()
    until.FromMilliseconds(until.ToMilliseconds() - int(_REPLAY_AGE_SECONDS * 1000))
    criteria = ops_service_pb2.DeadLetterFilter(
        reason=work_item_pb2.DEAD_LETTER_REASON_LEASE_LOST, dead_letter_time_until=until
    )
    listing = ops_service_pb2.ListDeadLettersRequest(namespace=NAMESPACE, worker_topic=topic, filter=criteria)
    listed = await stub.ListDeadLetters(listing, timeout=_CALL_SECONDS)
    ids = [item.item.item_id for item in listed.items if not item.HasField("outcome")]
    if not ids:
        return
    numbers = [recorder.call("replay", item=item_id) for item_id in ids]
    request = ops_service_pb2.ReplayDeadLettersRequest(
        namespace=NAMESPACE, worker_topic=topic, filter=ops_service_pb2.DeadLetterFilter(item_ids=ids)
    )
    response = await stub.ReplayDeadLetters(request, timeout=_CALL_SECONDS)
    refused = {refusal.item.item_id for refusal in response.refusals}
    for number, item_id in zip(numbers, ids, strict=True):
        recorder.answer(number, replayed=item_id not in refused)
