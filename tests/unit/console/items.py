"""Items as pages get them."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.v1 import work_item_pb2 as pb

START_MS = 1_700_000_000_000


def at(ms: int) -> Timestamp:
    """Return an instant, ms after the start."""
    stamp = Timestamp()
    stamp.FromMilliseconds(START_MS + ms)
    return stamp


def attempt(claimed: int, ended: int | None = None, **fields: Any) -> pb.Attempt:
    """Return a claim; times in ms after the start."""
    told = pb.Attempt(**{"attempt": 1, "worker_id": "w1", "fence": 7, "claim_time": at(claimed), **fields})
    if ended is not None:
        told.end_time.CopyFrom(at(ended))
    return told


def item(*attempts: pb.Attempt, status: int = pb.WORK_ITEM_STATUS_READY, **fields: Any) -> pb.WorkItem:
    """Return an item that was enqueued at the start."""
    ref = pb.WorkItemRef(namespace="default", worker_topic="topic", item_id="a")
    return pb.WorkItem(**{"item": ref, "status": status, "attempts": attempts, "enqueue_time": at(0), **fields})
