"""A steady load, and what an orchestrator sees of it, across servers and workers that come and go."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import grpc

from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as calls
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from support.wire import TOPIC

GROUP = "load"
BATCH = 20
_PATIENCE = 120.0
_CALL_SECONDS = 10.0
_PAUSE_SECONDS = 0.05


class Orchestrator:
    """Enqueues items and watches their outcomes: repeats what was not answered, acknowledges what it has noted.

    Args:
        address: of the servers.
        namespace: of the items.
        ahead: how many items wait or run at a time.
        seconds: how long each item takes its handler.
    """

    def __init__(self, address: str, namespace: str, ahead: int = 100, seconds: float = 0.02) -> None:
        self._address = address
        self._namespace = namespace
        self._ahead = ahead
        self._seconds = seconds
        self.enqueued: list[str] = []
        self.outcomes: defaultdict[str, set[bytes]] = defaultdict(set)
        """By item: each different outcome that was delivered."""
        self.interruptions = 0
        """How often a call or the watch was broken."""
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._enough = threading.Event()

    @contextmanager
    def at_work(self) -> "Iterator[Orchestrator]":
        """Let it work."""
        threads = [threading.Thread(target=part, daemon=True) for part in (self._enqueue, self._watch)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._enough.set()
            self._stopping.set()
            with self._news:
                self._news.notify_all()
            for thread in threads:
                thread.join(_CALL_SECONDS * 2)

    def wait_for(self, more: int) -> None:
        """Wait until so many more items have their outcome."""
        goal = len(self.outcomes) + more
        self._wait(lambda: len(self.outcomes) >= goal, f"{more} more outcomes")

    def finish(self) -> None:
        """Enqueue no more, and wait for the outcome of everything."""
        self._enough.set()
        self._wait(lambda: len(self.outcomes) >= len(self.enqueued), "the outcomes of everything")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        with self._news:
            assert self._news.wait_for(condition, _PATIENCE), f"{what} did not come: {len(self.outcomes)} so far"

    def _enqueue(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            stub = WorkItemServiceStub(channel)
            while not self._enough.is_set():
                with self._news:
                    self._news.wait_for(lambda: self._enough.is_set() or self._has_room(), _PATIENCE)
                first = len(self.enqueued)
                ids = [f"i{number:06}" for number in range(first, first + BATCH)]
                if self._put(stub, ids):
                    self.enqueued += ids

    def _has_room(self) -> bool:
        return len(self.enqueued) - len(self.outcomes) <= self._ahead

    def _put(self, stub: WorkItemServiceStub, ids: list[str]) -> bool:
        request = calls.EnqueueRequest(namespace=self._namespace, items=map(self._spec, ids))
        while not self._stopping.is_set():
            try:
                results = stub.Enqueue(request, timeout=_CALL_SECONDS).results
            except grpc.RpcError:
                self._interrupted()
                continue
            assert not any(result.HasField("error") for result in results)
            return True
        return False

    def _spec(self, item_id: str) -> pb.WorkItemSpec:
        envelope = {"operatorRef": "nap", "workerTopic": TOPIC, "input": self._seconds, "executionContext": {}}
        return pb.WorkItemSpec(
            item_id=item_id,
            worker_topic=TOPIC,
            operator_ref="nap",
            payload=json.dumps(envelope).encode(),
            reply_group=GROUP,
        )

    def _watch(self) -> None:
        while not self._stopping.is_set():
            with grpc.insecure_channel(self._address) as channel:
                try:
                    self._watch_once(WorkItemServiceStub(channel))
                except grpc.RpcError:
                    self._interrupted()

    def _watch_once(self, stub: WorkItemServiceStub) -> None:
        source = calls.OutcomeSource(namespace=self._namespace, worker_topic=TOPIC, reply_group=GROUP)
        requests: SimpleQueue[calls.WatchOutcomesRequest | None] = SimpleQueue()
        requests.put(calls.WatchOutcomesRequest(add=calls.OutcomeSources(sources=[source])))
        call: Any = stub.WatchOutcomes(iter(requests.get, None))
        try:
            for response in call:
                with self._news:
                    for outcome in response.outcomes:
                        self.outcomes[outcome.item.item_id].add(outcome.SerializeToString(deterministic=True))
                    self._news.notify_all()
                items = [outcome.item for outcome in response.outcomes]
                if items:
                    told = calls.OutcomeAcknowledgements(items=items)
                    requests.put(calls.WatchOutcomesRequest(acknowledge=told))
                if self._stopping.is_set():
                    return
        finally:
            call.cancel()
            requests.put(None)

    def _interrupted(self) -> None:
        self.interruptions += 1
        self._stopping.wait(_PAUSE_SECONDS)
