"""The fake control plane's work items and their leases. Told the time; no I/O, no threads, no clock."""

import secrets
from collections.abc import Iterator
from math import inf
from random import Random
from typing import NamedTuple

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker._durations import seconds_of
from bloge_worker.testing._life import Life
from bloge_worker.testing._record import Claim, Record
from bloge_worker.testing._reporting import Reporting

MOST_CLAIM_BYTES = 2_500_000
"""Below the largest frame of 3 MiB, with room for what surrounds the descriptions."""
REQUEST_SECONDS = 60.0
"""How long a claim can be repeated."""
_DEFAULT_PRIORITY = 50

Topic = tuple[str, str]
"""Namespace and worker topic."""


class ClaimOrder(NamedTuple):
    """How to claim."""

    worker_id: str
    max_items: int
    lease: float
    """Seconds that the lease lasts."""
    offer_lease: float | None = None
    """Seconds that an offer waits for its receipt; None: it needs none."""
    max_bytes: int = MOST_CLAIM_BYTES
    any_size: bool = True
    """True: the first item is given whatever its size."""
    request_id: str = ""


class Stop(NamedTuple):
    """A handler that is to stop."""

    namespace: str
    worker_id: str
    cancel: work_stream_pb2.LeaseCancel


class LeaseTable:
    """All work items, with the life that the real control plane gives them.

    It knows nodes only: no graphs, no journals, no pauses, no replays.

    Args:
        random: gives all jitter.
        backlog_limit: the most items of a topic that may wait; 0: any number.
    """

    def __init__(self, random: Random, backlog_limit: int = 0) -> None:
        self.stops: list[Stop] = []
        """Handlers to stop, for the shell to take."""
        self._life = Life(random, self._stop)
        self._reporting = Reporting(self._life, self.find)
        self._backlog_limit = backlog_limit
        self._topics: dict[Topic, dict[str, Record]] = {}
        self._requests: dict[tuple[Topic, str], tuple[float, list[tuple[Record, int]]]] = {}
        self._last_sequence = 0

    @property
    def reporting(self) -> Reporting:
        """What takes reports."""
        return self._reporting

    def enqueue(self, namespace: str, spec: pb.WorkItemSpec, now: float) -> Reason | bool:
        """Create an item; return True, False if it is there with the same content, or why it is refused."""
        topic = self._topics.setdefault((namespace, spec.worker_topic), {})
        known = topic.get(spec.item_id)
        if known is not None:
            return False if _content(known.spec) == _content(spec) else Reason.CONTENT_DIFFERS
        waiting = sum(each.item.status in _WAITING for each in topic.values())
        if self._backlog_limit and waiting >= self._backlog_limit:
            return Reason.BACKLOG_FULL
        topic[spec.item_id] = self._new(namespace, spec, now)
        return True

    def find(self, namespace: str, worker_topic: str, item_id: str, now: float) -> Record | None:
        """Return an item, up to date."""
        record = self._topics.get((namespace, worker_topic), {}).get(item_id)
        if record is not None:
            self._life.settle(record, now)
        return record

    def claim(self, topic: Topic, order: ClaimOrder, now: float) -> list[Record]:
        """Claim due items, highest priority first, then oldest first."""
        until, held = self._requests.get((topic, order.request_id), (-inf, []))
        if order.request_id and until > now:
            return [each for each, fence in held if self._holds(each, order.worker_id, fence, now)]
        claimed: list[Record] = []
        size = 0
        for record in self._ready(topic, now):
            more = record.spec.ByteSize() + len(record.item.progress)
            if len(claimed) == order.max_items or not (
                size + more <= order.max_bytes or (order.any_size and not claimed)
            ):
                break
            size += more
            self._claim(record, order, now)
            claimed.append(record)
        if order.request_id and claimed:
            fences = [(each, each.item.fence) for each in claimed]
            self._requests[topic, order.request_id] = (now + REQUEST_SECONDS, fences)
        return claimed

    def cancel(self, record: Record, now: float) -> bool:
        """Cancel an item; return False if it has another outcome."""
        if record.is_open:
            self._life.withdraw(record, pb.OUTCOME_KIND_CANCELLED, Reason.CANCELLED, now)
        return record.item.outcome.kind == pb.OUTCOME_KIND_CANCELLED

    def settle(self, now: float) -> None:
        """Do everything that is due."""
        for record in self._all():
            self._life.settle(record, now)

    def next_due(self) -> float:
        """Return when `settle` has something to do."""
        return min((self._life.due(record) for record in self._all()), default=inf)

    def _new(self, namespace: str, spec: pb.WorkItemSpec, now: float) -> Record:
        self._last_sequence += 1
        ref = pb.WorkItemRef(namespace=namespace, worker_topic=spec.worker_topic, item_id=spec.item_id)
        priority = spec.priority if spec.HasField("priority") else _DEFAULT_PRIORITY
        record = Record(
            item=pb.WorkItem(item=ref, spec=spec),
            order=(-priority, self._last_sequence),
            enqueued_at=now,
            suspend_deadline=now + seconds_of(spec.suspend_timeout) if spec.HasField("suspend_timeout") else inf,
        )
        delay = seconds_of(spec.start_delay)
        if delay:
            record.place(pb.WORK_ITEM_STATUS_RETRY_WAIT, due=now + delay)
        else:
            record.place(pb.WORK_ITEM_STATUS_READY)
        return record

    def _claim(self, record: Record, order: ClaimOrder, now: float) -> None:
        item = record.item
        if record.claim is not None:
            record.earlier.append(record.claim)
        fence = max(item.fence + 1, int(now * 1_000_000))
        record.claim = Claim(fence, secrets.token_urlsafe(16), order.worker_id, now, order.lease)
        item.fence, item.worker_id = fence, order.worker_id
        item.claim_count += 1
        item.received = order.offer_lease is None
        record.place(pb.WORK_ITEM_STATUS_CLAIMED)
        first = order.lease if order.offer_lease is None else order.offer_lease
        record.lease_until = min(now + first, record.attempt_ends_at)
        record.begin_attempt(record.claim)

    def _ready(self, topic: Topic, now: float) -> list[Record]:
        records = self._topics.get(topic, {}).values()
        for record in records:
            self._life.settle(record, now)
        ready = [each for each in records if each.item.status == pb.WORK_ITEM_STATUS_READY]
        return sorted(ready, key=lambda each: each.order)

    def _all(self) -> Iterator[Record]:
        for topic in self._topics.values():
            yield from topic.values()

    def _holds(self, record: Record, worker_id: str, fence: int, now: float) -> bool:
        self._life.settle(record, now)
        item = record.item
        return (item.status, item.worker_id, item.fence) == (pb.WORK_ITEM_STATUS_CLAIMED, worker_id, fence)

    def _stop(self, record: Record, reason: Reason) -> None:
        ref = record.item.item
        cancel = work_stream_pb2.LeaseCancel(
            worker_topic=ref.worker_topic, item_id=ref.item_id, fence=record.item.fence, reason=reason.number
        )
        self.stops.append(Stop(ref.namespace, record.item.worker_id, cancel))


_WAITING = frozenset({pb.WORK_ITEM_STATUS_READY, pb.WORK_ITEM_STATUS_RETRY_WAIT})


def _content(spec: pb.WorkItemSpec) -> bytes:
    """Return what makes two enqueues equal."""
    content = pb.WorkItemSpec()
    content.CopyFrom(spec)
    for name in ("trace_context", "execution_id", "node_id", "operator_ref"):
        content.ClearField(name)
    return content.SerializeToString(deterministic=True)
