"""A whole producer: `python -m examples.quickstart.producer Ada`. Like the worker it looks at BLOGE_ADDRESS first.

It enqueues one work item and waits for its outcome. No graph, no orchestrator: the generated stubs are enough.
"""

import json
import os
import sys
import uuid

import grpc

from bloge.remote_workers.v1.work_item_pb2 import OutcomeKind, WorkItemRef, WorkItemSpec
from bloge.remote_workers.v1.work_item_service_pb2 import AwaitOutcomeRequest, EnqueueRequest
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub


def greet(name: str) -> str:
    """Have `name` greeted by whichever worker serves the topic; waits up to 30 s.

    Raises:
        RuntimeError: If the item was refused, or has no output in time.
    """
    with grpc.insecure_channel(os.environ.get("BLOGE_ADDRESS", "127.0.0.1:7070")) as channel:
        items = WorkItemServiceStub(channel)
        payload = json.dumps({"name": name}).encode()
        spec = WorkItemSpec(item_id=str(uuid.uuid4()), worker_topic="greetings", operator_ref="Greet", payload=payload)
        result = items.Enqueue(EnqueueRequest(items=[spec])).results[0]
        if not result.created:
            raise RuntimeError(f"the item was refused: {result.error.message}")
        item = WorkItemRef(worker_topic=spec.worker_topic, item_id=spec.item_id)
        outcome = items.AwaitOutcome(AwaitOutcomeRequest(item=item)).outcome
    if outcome.kind != OutcomeKind.OUTCOME_KIND_COMPLETED:
        raise RuntimeError(f"no output: {OutcomeKind.Name(outcome.kind)}; does a worker serve {spec.worker_topic}?")
    return str(json.loads(outcome.output)["greeting"])


if __name__ == "__main__":
    sys.stdout.write(greet(sys.argv[1] if len(sys.argv) > 1 else "world") + "\n")
