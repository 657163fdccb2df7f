"""The calls of `OpsService` that are about topics, workers, items and the audit."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import grpc

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge.remote_workers.v1 import ops_service_pb2_grpc, work_item_pb2
from bloge_orchestrator.telling import told

if TYPE_CHECKING:  # the asynchronous stubs are a fiction of their type declarations
    from bloge.remote_workers.v1.ops_service_pb2_grpc import OpsServiceAsyncStub

_CALL_SECONDS = 15.0
_PAGE = 500


class OperationsClient:
    """What people and their tools ask and do.

    Calls raise `RemoteWorkersError` if they are refused, and `ControlPlaneUnreachableError` if nobody answers.

    Args:
        channel: The connection.
        address: Where it goes, for messages.
    """

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self._stub: OpsServiceAsyncStub = ops_service_pb2_grpc.OpsServiceStub(channel)
        self._address = address

    async def topics(self, namespace: str) -> AsyncIterator[pb.Topic]:
        """Yield the topics of a namespace, by name."""
        request = pb.ListTopicsRequest(namespace=namespace, page_size=_PAGE)
        while True:
            with told(self._address):
                reply = await self._stub.ListTopics(request, timeout=_CALL_SECONDS)
            for topic in reply.topics:
                yield topic
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return

    async def topic(self, namespace: str, worker_topic: str) -> pb.Topic:
        """Read one topic."""
        request = pb.GetTopicRequest(namespace=namespace, worker_topic=worker_topic)
        with told(self._address):
            return (await self._stub.GetTopic(request, timeout=_CALL_SECONDS)).topic

    async def pause_topic(self, request: pb.PauseTopicRequest) -> None:
        """Stop claims of a topic."""
        with told(self._address):
            await self._stub.PauseTopic(request, timeout=_CALL_SECONDS)

    async def resume_topic(self, request: pb.ResumeTopicRequest) -> None:
        """Allow claims of a topic again."""
        with told(self._address):
            await self._stub.ResumeTopic(request, timeout=_CALL_SECONDS)

    async def configure_topic(self, request: pb.ConfigureTopicRequest) -> pb.Topic:
        """Set what a topic has of its own; give it as it is then."""
        with told(self._address):
            return (await self._stub.ConfigureTopic(request, timeout=_CALL_SECONDS)).topic

    async def workers(self, namespace: str, worker_topic: str = "") -> AsyncIterator[pb.WorkerInfo]:
        """Yield the workers that were seen lately, by id; with a topic only those that serve it."""
        request = pb.ListWorkersRequest(namespace=namespace, worker_topic=worker_topic, page_size=_PAGE)
        while True:
            with told(self._address):
                reply = await self._stub.ListWorkers(request, timeout=_CALL_SECONDS)
            for worker in reply.workers:
                yield worker
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return

    async def drain_worker(self, request: pb.DrainWorkerRequest) -> None:
        """Ask a worker to leave."""
        with told(self._address):
            await self._stub.DrainWorker(request, timeout=_CALL_SECONDS)

    async def items(
        self, namespace: str, worker_topic: str, status: work_item_pb2.WorkItemStatus.ValueType, worker_id: str = ""
    ) -> AsyncIterator[work_item_pb2.WorkItem]:
        """Yield the items of a status, without payloads and outputs; with a worker only those that it has or had."""
        request = pb.ListWorkItemsRequest(
            namespace=namespace, worker_topic=worker_topic, status=status, worker_id=worker_id
        )
        while True:
            with told(self._address):
                reply = await self._stub.ListWorkItems(request, timeout=_CALL_SECONDS)
            for item in reply.items:
                yield item
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return

    async def dead_letter_groups(self, request: pb.GroupDeadLettersRequest) -> list[pb.DeadLetterGroup]:
        """Return how many dead letters there are of each topic, reason and error type, the most first."""
        found: dict[tuple[str, int, str], pb.DeadLetterGroup] = {}
        while True:
            with told(self._address):
                reply = await self._stub.GroupDeadLetters(request, timeout=_CALL_SECONDS)
            for group in reply.groups:
                total = found.setdefault((group.worker_topic, group.reason, group.error_type), group)
                if total is not group:
                    total.count += group.count
                    total.settled_count += group.settled_count
                    total.last_time.CopyFrom(group.last_time)
                    total.last_item_id = group.last_item_id
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return sorted(found.values(), key=lambda group: -group.count)

    async def actions(self, namespace: str) -> AsyncIterator[pb.RecordedAction]:
        """Yield what people did, latest first."""
        request = pb.ListActionsRequest(namespace=namespace)
        while True:
            with told(self._address):
                reply = await self._stub.ListActions(request, timeout=_CALL_SECONDS)
            for action in reply.actions:
                yield action
            request.page_token = reply.next_page_token
            if not reply.next_page_token:
                return

    async def journal(self, request: pb.TailJournalRequest) -> AsyncIterator[pb.TailJournalResponse]:
        """Yield what happened, and what happens if the request says so."""
        with told(self._address):
            async for reply in self._stub.TailJournal(request):
                yield reply

    async def audit(self, request: pb.AuditRequest) -> AsyncIterator[pb.AuditResponse]:
        """Yield progress and findings of an audit, which takes as long as it takes."""
        with told(self._address):
            async for step in self._stub.Audit(request):
                yield step
