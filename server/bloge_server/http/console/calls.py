"""What the console asks of the server: the calls of the gRPC services, in this process."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from google.protobuf.message import Message

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as items


class Calls(Protocol):
    """Each takes a request, checks it as gRPC's does, and raises what gRPC would tell."""

    async def ListTopics(self, request: ops.ListTopicsRequest) -> ops.ListTopicsResponse:
        """List topics."""

    async def GetTopic(self, request: ops.GetTopicRequest) -> ops.GetTopicResponse:
        """Read a topic."""

    async def PauseTopic(self, request: ops.PauseTopicRequest) -> ops.PauseTopicResponse:
        """Stop claims."""

    async def ResumeTopic(self, request: ops.ResumeTopicRequest) -> ops.ResumeTopicResponse:
        """Allow claims again."""

    async def ListWorkers(self, request: ops.ListWorkersRequest) -> ops.ListWorkersResponse:
        """List workers."""

    async def GetWorker(self, request: ops.GetWorkerRequest) -> ops.GetWorkerResponse:
        """Read a worker."""

    async def DrainWorker(self, request: ops.DrainWorkerRequest) -> ops.DrainWorkerResponse:
        """Ask a worker to leave."""

    async def ListWorkItems(self, request: ops.ListWorkItemsRequest) -> ops.ListWorkItemsResponse:
        """List items by status."""

    async def GetWorkItem(self, request: ops.GetWorkItemRequest) -> ops.GetWorkItemResponse:
        """Read an item."""

    async def read_items(
        self, namespace: str, worker_topic: str, item_ids: Sequence[str]
    ) -> Sequence[work_item_pb2.WorkItem | None]:
        """Read several items of a topic at once, None where there is none. Only in this process."""

    async def Cancel(self, request: items.CancelRequest) -> items.CancelResponse:
        """Cancel items."""

    async def ListDeadLetters(self, request: ops.ListDeadLettersRequest) -> ops.ListDeadLettersResponse:
        """List dead letters."""

    async def GroupDeadLetters(self, request: ops.GroupDeadLettersRequest) -> ops.GroupDeadLettersResponse:
        """Count dead letters."""

    async def ReplayDeadLetters(self, request: ops.ReplayDeadLettersRequest) -> ops.ReplayDeadLettersResponse:
        """Put dead letters back."""

    async def DiscardDeadLetters(self, request: ops.DiscardDeadLettersRequest) -> ops.DiscardDeadLettersResponse:
        """Drop dead letters."""

    def replay_in_steps(
        self, request: ops.ReplayDeadLettersRequest, step_items: int, most: int
    ) -> AsyncIterator[ops.ReplayDeadLettersResponse]:
        """Put dead letters back step by step. Only in this process."""

    def discard_in_steps(
        self, request: ops.DiscardDeadLettersRequest, step_items: int, most: int
    ) -> AsyncIterator[ops.DiscardDeadLettersResponse]:
        """Drop dead letters step by step. Only in this process."""

    async def AdoptLateOutput(self, request: ops.AdoptLateOutputRequest) -> ops.AdoptLateOutputResponse:
        """Take a late output."""

    def Audit(self, request: ops.AuditRequest) -> AsyncIterator[ops.AuditResponse]:
        """Prove that every item stands where it should."""

    async def ListActions(self, request: ops.ListActionsRequest) -> ops.ListActionsResponse:
        """List what people did."""

    async def record_action(self, place: tuple[str, str], verb: str, action: ops.Action, request: Message) -> None:
        """Record what a person is about to do by a call that records nothing itself. Only in this process."""
