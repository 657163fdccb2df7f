"""What an enqueuer does, in short words, for whole-process tests."""

import json

import grpc

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as calls
from bloge.remote_workers.v1 import work_item_service_pb2_grpc


class Enqueuer:
    """Enqueues node envelopes to one topic and reads what became of them."""

    def __init__(self, channel: grpc.Channel, namespace: str, topic: str) -> None:
        self._stub = work_item_service_pb2_grpc.WorkItemServiceStub(channel)
        self._namespace = namespace
        self._topic = topic

    def enqueue(self, item_id: str, node_input: object, *, operator: str = "", retries: int = 0) -> None:
        """Enqueue one item."""
        envelope = {"operatorRef": operator, "workerTopic": self._topic, "input": node_input, "executionContext": {}}
        spec = pb.WorkItemSpec(
            item_id=item_id,
            worker_topic=self._topic,
            payload=json.dumps(envelope).encode(),
            operator_ref=operator,
            retry_policy=pb.RetryPolicy(attempts=retries),
        )
        (result,) = self._stub.Enqueue(calls.EnqueueRequest(namespace=self._namespace, items=[spec])).results
        assert result.created

    def ref(self, item_id: str) -> pb.WorkItemRef:
        """Return the name of an item."""
        return pb.WorkItemRef(namespace=self._namespace, worker_topic=self._topic, item_id=item_id)

    def outcome(self, item_id: str) -> pb.Outcome:
        """Wait for the outcome of an item."""
        request = calls.AwaitOutcomeRequest(item=self.ref(item_id))
        request.wait_timeout.FromSeconds(40)
        return self._stub.AwaitOutcome(request).outcome

    def item(self, item_id: str) -> pb.WorkItem:
        """Read an item."""
        return self._stub.Get(calls.GetRequest(item=self.ref(item_id))).item
