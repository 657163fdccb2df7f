"""A plain producer for the examples: enqueues one work item and waits for what becomes of it.

In earnest an orchestrator does this for each remote node of a graph; `examples/quickstart` explains every step.
"""

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.v1.work_item_pb2 import OnDeadLetter, OutcomeKind, RetryPolicy, WorkItemRef, WorkItemSpec
from bloge.remote_workers.v1.work_item_service_pb2 import (
    AwaitOutcomeRequest,
    CancelRequest,
    EnqueueRequest,
    GetRequest,
)
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub

RETRIES = 2
CONNECT_SECONDS = 5
LOOK_MILLISECONDS = 200
"""How often progress is looked at."""


@dataclass(frozen=True)
class Answer:
    """What became of an item."""

    kind: str
    """`COMPLETED`, `FAILED`, `TIMED_OUT` or `CANCELLED`."""
    output: Any = None
    code: str = ""
    """Of a business error; else the type of the failure."""
    message: str = ""
    details: Any = None


def server_address() -> str:
    """Return where the server is: BLOGE_ADDRESS, else where `make run` listens. Without one there, the program ends."""
    address = os.environ.get("BLOGE_ADDRESS", "127.0.0.1:7070")
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise SystemExit(f"no server at {address}: start one with `make run`, or set BLOGE_ADDRESS") from None
    return address


class Asker:
    """Asks for work. Calls block; in a coroutine, make them with `asyncio.to_thread`.

    Args:
        address: of the server.
        namespace: of the items.
    """

    def __init__(self, address: str, namespace: str = "default") -> None:
        self._items = WorkItemServiceStub(grpc.insecure_channel(address))
        self._namespace = namespace

    def enqueue(self, worker_topic: str, operator: str, value: Any, *, timeout: float = 60.0) -> WorkItemRef:  # noqa: ANN401 - any JSON value
        """Enqueue an item whose outcome is of use for `timeout` seconds; return its name."""
        spec = WorkItemSpec(
            worker_topic=worker_topic,
            item_id=str(uuid.uuid4()),
            operator_ref=operator,
            payload=json.dumps(value).encode(),
            retry_policy=RetryPolicy(attempts=RETRIES),
            suspend_timeout=Duration(seconds=int(timeout)),
            on_dead_letter=OnDeadLetter.ON_DEAD_LETTER_RESUME_WITH_FAILURE,
        )
        self._items.Enqueue(EnqueueRequest(namespace=self._namespace, items=[spec]))
        return WorkItemRef(namespace=self._namespace, worker_topic=worker_topic, item_id=spec.item_id)

    def wait(self, item: WorkItemRef, on_progress: Callable[[Any], object] | None = None) -> Answer:
        """Wait for the outcome of an item; meanwhile pass on each progress report that is seen."""
        seen, wait = b"", Duration(nanos=LOOK_MILLISECONDS * 1_000_000)
        while True:
            response = self._items.AwaitOutcome(AwaitOutcomeRequest(item=item, wait_timeout=wait))
            progress = self._items.Get(GetRequest(item=item)).item.progress
            if on_progress is not None and progress not in (b"", seen):
                on_progress(json.loads(progress))
                seen = progress
            if response.HasField("outcome"):
                break
        outcome = response.outcome
        error, failure = outcome.business_error, outcome.failure
        return Answer(
            kind=OutcomeKind.Name(outcome.kind).removeprefix("OUTCOME_KIND_"),
            output=json.loads(outcome.output) if outcome.output else None,
            code=error.code or failure.type,
            message=error.message or failure.message,
            details=json.loads(error.details) if error.details else None,
        )

    def ask(self, worker_topic: str, operator: str, value: Any) -> Answer:  # noqa: ANN401 - any JSON value
        """Enqueue an item and wait for its outcome."""
        return self.wait(self.enqueue(worker_topic, operator, value))

    def cancel(self, item: WorkItemRef) -> None:
        """Cancel an item: nobody wants its output any more."""
        self._items.Cancel(CancelRequest(items=[item], reason="nobody wants it any more"))
