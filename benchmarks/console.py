"""`make bench-console`: how long each page of the Ops Console takes with very many items in the store.

Half of the items are in one topic, the rest in nine others; of each topic one in twenty is a dead letter, one in twenty
is done, some are claimed, the others are ready. Pages are loaded one after the other by one client on the same machine,
as often as is said; what is told is the time until the page is there. One execution has a journal of 1,000 events.
"""

import argparse
import sys
import time
from collections.abc import Iterator

import grpc
import httpx

from benchmarks import console_executions
from benchmarks.processes import Server
from benchmarks.samples import Spread
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge.remote_workers.v1 import work_item_service_pb2 as items
from bloge.remote_workers.v1 import worker_service_pb2 as workers
from bloge.remote_workers.v1.work_item_service_pb2_grpc import WorkItemServiceStub
from bloge.remote_workers.v1.worker_service_pb2_grpc import WorkerServiceStub

AIM_MS = 300.0
_TOPICS = 10
_BATCH = 500
_PART = 20
_ERRORS = ("ValueError", "TimeoutError", "CudaError", "KeyError")
_WORKER = "bench-worker"
_HELD = 200
_LEASE_SECONDS = 3600
_EXECUTIONS = 1_000
PAGES = {
    "overview": "",
    "topic, ready": "/topics/topic-0",
    "topic, dead letters": "/topics/topic-0?status=DEAD_LETTER",
    "topic, done": "/topics/topic-0?status=DONE",
    "work item": "/topics/topic-0/items/0-0",
    "replay form": "/topics/topic-0/items/0-0/replay",
    "workers": "/workers",
    "worker": f"/workers/{_WORKER}",
    "executions": "/executions",
    "execution": "/executions/{execution}",
    "dead letters": "/dead-letters",
    "dead letters of one error": "/dead-letters?topic=topic-0&error=CudaError",
    "dead letters of one execution": "/dead-letters?execution=e-7",
    "dead letters that do not exist": "/dead-letters?error=Nothing",
    "all that match": "/dead-letters/all",
    "journal": "/journal",
    "actions": "/actions",
    "audit": "/audit",
    "find an item": "/find?q=0-0",
}
"""Pages that a person waits for."""
PARTS = {
    "counts by error": "/dead-letters/groups",
    "dry run over all dead letters": "/dead-letters/all/counted",
}
"""What comes after its page, or before an act: it looks at every dead letter."""


class Filler:
    """Puts items into a store.

    Args:
        channel: to the server.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._items = WorkItemServiceStub(channel)
        self._workers = WorkerServiceStub(channel)

    def fill(self, total: int) -> None:
        """Put that many items in, some in the hands of a worker."""
        topics = [f"topic-{number}" for number in range(_TOPICS)]
        self._workers.Register(workers.RegisterRequest(worker_id=_WORKER, worker_topics=topics))
        for number, topic in enumerate(topics):
            share = total // 2 if number == 0 else total // 2 // (_TOPICS - 1)
            for start in range(0, share, _BATCH):
                self._enqueue(topic, [f"{number}-{index}" for index in range(start, min(share, start + _BATCH))])
            for start in range(0, share // _PART, _BATCH):
                self._fail(topic, _ERRORS[start // _BATCH % len(_ERRORS)])
                self._complete(topic)
            self._claim(topic, _HELD)

    def _enqueue(self, topic: str, ids: list[str]) -> None:
        specs = [
            work_item_pb2.WorkItemSpec(
                item_id=each,
                worker_topic=topic,
                payload=b'{"operatorRef":"Infer","input":{"image":"s3://bucket/scan.png"}}',
                operator_ref="Infer",
                execution_id=f"e-{index}",
            )
            for index, each in enumerate(ids)
        ]
        self._items.Enqueue(items.EnqueueRequest(items=specs))

    def _claim(self, topic: str, count: int) -> list[lease_pb2.Lease]:
        request = workers.ClaimRequest(worker_id=_WORKER, worker_topic=topic, max_items=count)
        request.lease_duration.FromSeconds(_LEASE_SECONDS)
        return list(self._workers.Claim(request).leases)

    def _fail(self, topic: str, kind: str) -> None:
        failure = work_item_pb2.Failure(type=kind, message="it broke", traceback="Traceback\n" * 20, non_retryable=True)
        leases = self._claim(topic, _BATCH)
        reports = [lease_pb2.FailReport(lease_token=lease.lease_token, failure=failure) for lease in leases]
        self._workers.Fail(workers.FailRequest(reports=reports))

    def _complete(self, topic: str) -> None:
        leases = self._claim(topic, _BATCH)
        reports = [lease_pb2.CompleteReport(lease_token=lease.lease_token, output=b"{}") for lease in leases]
        self._workers.Complete(workers.CompleteRequest(reports=reports))


def measured(http: httpx.Client, path: str, times: int) -> Spread:
    """Load a page several times; return how long it took, in ms."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        http.get(f"/console{path}", headers={"HX-Request": "true"} if path in PARTS.values() else {}).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    spread = Spread.of(took)
    assert spread is not None
    return spread


def lines(http: httpx.Client, times: int, execution: str) -> Iterator[tuple[str, bool]]:
    """Yield a line for each page, and whether its median is within the aim; parts have none."""
    yield f"{'page':34}{'p50 ms':>9}{'p95 ms':>9}{'most ms':>9}", True
    for name, path in (*PAGES.items(), *PARTS.items()):
        spread = measured(http, path.format(execution=execution), times)
        good = name in PARTS or spread.p50 <= AIM_MS
        yield f"{name:34}{spread.p50:9.1f}{spread.p95:9.1f}{spread.most:9.1f}{'' if good else '  too slow'}", good


def main() -> int:
    """Fill a store, load the pages; return 1 if one takes longer than it should."""
    parser = argparse.ArgumentParser(prog="make bench-console", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000, help="how many items, 20,000 to 10,000,000")
    parser.add_argument("--times", type=int, default=20, help="how often each page is loaded")
    options = parser.parse_args()
    server = Server.start("--dead-letter-limit", "0")
    try:
        print(f"filling a store with {options.items:,} items", flush=True)
        began = time.monotonic()
        with grpc.insecure_channel(server.address) as channel:
            Filler(channel).fill(options.items)
            execution = console_executions.start(channel, _EXECUTIONS)
        print(f"filled within {time.monotonic() - began:.0f} s", flush=True)
        with httpx.Client(base_url=f"http://{server.http_address}", timeout=60, follow_redirects=True) as http:
            told = []
            for line, good in lines(http, options.times, execution):
                print(line, flush=True)
                told.append(good)
    finally:
        server.stop()
    return 0 if all(told) else 1


if __name__ == "__main__":
    sys.exit(main())
