"""What users of other systems suffer from, and must not here. Whole worker processes on a real server and store.

`FULL=1` scales handlers up (`make test-faults`); `make test` runs the same tests with short ones.
"""

import json
import os
import time
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.brisk import StartWorker, output, put
from support.loops import ProxyInThread, running_proxy
from support.relay import running_relay
from support.waiting import until
from support.wire import PATIENCE, TOPIC, Wire, seconds

FULL = os.environ.get("FULL") == "1"
LEASE = 1.0
HANDLER_SECONDS = 20.0 if FULL else 3.0
"""Twenty lease durations, or three."""
OUTAGE_ITEMS = 2000 if FULL else 300


def _sever(proxy: ProxyInThread) -> None:
    proxy.proxy.refusing = True
    proxy.sever()


def _swallow(proxy: ProxyInThread) -> None:
    proxy.swallow()


def _swallow_up(proxy: ProxyInThread) -> None:
    proxy.swallow(down=False)


def _swallow_down(proxy: ProxyInThread) -> None:
    proxy.swallow(up=False)


@pytest.mark.parametrize("cut", [_sever, _swallow, _swallow_up, _swallow_down], ids=lambda cut: cut.__name__[1:])
def test_deaf_worker_recovers(wire: Wire, brisk_address: str, start_worker: StartWorker, cut: Any) -> None:
    """However the stream is cut, health goes red while the server is not heard, and items flow again afterwards."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker(address=proxy.address)
        put(wire, "before", operator="echo")
        assert output(wire, "before")["by"] == "w1"
        worker.wait_for("healthy")
        cut(proxy)
        put(wire, "during", operator="echo")
        worker.wait_for("sick")
        proxy.proxy.refusing = False
        proxy.heal()
        put(wire, "after", operator="echo")
        assert [output(wire, item)["by"] for item in ("during", "after")] == ["w1", "w1"]
        worker.wait_for("healthy", 2)
    runs = Counter(worker.runs())
    assert (runs["before"], runs["after"]) == (1, 1)
    # Where only the worker's words are lost it gets offers and its receipts do not arrive: three, then none.
    assert runs["during"] <= (3 if cut is _swallow_up else 1)


def test_undelivered_offer_is_free(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """An offer that never arrives comes back after the offer lease; attempt and losses are untouched."""
    with running_relay(brisk_address) as relay:
        relay.relay.down = lambda kind: 0 if kind == "offers" else 1
        deaf = start_worker("deaf", address=relay.address)
        put(wire, "a", operator="echo")
        until(lambda: wire.get("a").claim_count, "the item is offered to the worker that gets nothing")
        start_worker("w2")
        assert output(wire, "a")["by"] == "w2"
    item = wire.get("a")
    assert item.claim_count >= 2
    assert (item.retry_count, item.lease_loss_count) == (0, 0)
    ends = [(attempt.attempt, attempt.worker_id, attempt.end) for attempt in item.attempts]
    assert ends[-1] == (1, "w2", pb.ATTEMPT_END_COMPLETED)
    assert set(ends[:-1]) == {(1, "deaf", pb.ATTEMPT_END_OFFER_EXPIRED)}
    assert deaf.runs() == []


@pytest.mark.parametrize("operator", ["block", "spin"])
def test_blocked_handler_runs_once(wire: Wire, start_worker: StartWorker, operator: str) -> None:
    """A handler that blocks the event loop for many lease durations, asleep or busy, runs once and keeps its lease."""
    worker = start_worker(lease=LEASE)
    put(wire, "a", operator=operator, node_input=HANDLER_SECONDS)
    assert output(wire, "a")["by"] == "w1"
    item = wire.get("a")
    assert (item.claim_count, item.lease_loss_count, item.retry_count) == (1, 0, 0)
    assert worker.runs() == ["a"]


def test_late_result_kept(wire: Wire, start_worker: StartWorker) -> None:
    """The output of a superseded run is refused with the reason, kept with the item, and can be adopted."""
    worker = start_worker(lease=LEASE, slots=1)
    put(wire, "a", operator="gate")
    late_fence = worker.begun("a")
    worker.freeze()
    later = wire.claim_one(worker="w2", wait=PATIENCE - 5)
    worker.thaw()
    worker.go("a")
    until(lambda: wire.get("a").late_outputs, "the late output is kept")
    (late,) = wire.get("a").late_outputs
    assert (late.fence, late.worker_id, late.reason) == (late_fence, "w1", Reason.SUPERSEDED)
    assert json.loads(late.output) == {"by": "w1", "fence": late_fence}
    worker.wait_for_log(Reason.SUPERSEDED)
    assert wire.status("a") == "CLAIMED"
    (verdict,) = wire.fail(later, non_retryable=True)
    assert verdict.status == pb.WORK_ITEM_STATUS_DEAD_LETTER
    adopted = wire.ops.AdoptLateOutput(ops.AdoptLateOutputRequest(item=wire.ref("a"), fence=late_fence)).outcome
    assert adopted.kind == pb.OUTCOME_KIND_COMPLETED
    assert output(wire, "a") == {"by": "w1", "fence": late_fence}


def test_backlog_age_falls_after_outage(wire: Wire, start_worker: StartWorker) -> None:
    """After an outage the oldest go first: fresh items never overtake, expired ones keep their place, and it drains."""
    lost = start_worker("lost", lease=LEASE, slots=4)
    put(wire, *(f"held-{number}" for number in range(4)), operator="async_gate")
    lost.wait_for("begin", 4)
    lost.kill()
    waiting = [f"i{number:05}" for number in range(OUTAGE_ITEMS)]
    put(wire, *waiting, operator="echo", reply_group="group")
    until(lambda: wire.topic().ready_count == OUTAGE_ITEMS + 4, "the items of the dead worker are back")
    worker = start_worker("w2", slots=8)
    worker.wait_for("begin held-", 4)
    worker.go(*(f"held-{number}" for number in range(4)))
    fresh = 0
    done: list[str] = []
    with wire.watch("group") as watch:
        while len(done) < len(waiting):
            arrived = [outcome.item.item_id for outcome in watch.next().outcomes]
            done += arrived
            # Work comes in at half the speed at which it goes out, as long as it pays: the backlog must fall.
            room = min(len(arrived) // 2, OUTAGE_ITEMS // 2 - fresh)
            new = [f"j{number:05}" for number in range(fresh, fresh + room)]
            if new:
                put(wire, *new, operator="echo", reply_group="group")
                waiting += new
                fresh += room
    assert sorted(done) == sorted(waiting)
    begun = [item for item in worker.runs() if not item.startswith("held")]
    assert begun == waiting, "the order of enqueueing is the order of work, fresh or not"
    assert worker.runs()[:4] == [f"held-{number}" for number in range(4)], "what expired kept its place"
    assert not wire.topic().HasField("oldest_ready_age")


def test_cancel_without_heartbeat(wire: Wire, start_worker: StartWorker) -> None:
    """A cancel reaches a handler that says nothing, under a lease that asks for no heartbeat for twenty minutes."""
    worker = start_worker(lease=3600)
    put(wire, "a", operator="async_gate")
    worker.begun("a")
    (result,) = wire.cancel("a")
    assert result.cancelled
    worker.wait_for("stop a")
    outcome = wire.await_outcome("a")
    assert outcome is not None
    assert outcome.kind == pb.OUTCOME_KIND_CANCELLED
    put(wire, "b", operator="echo")
    assert output(wire, "b")["by"] == "w1"


def test_lost_lease_stops_handler(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """A worker that cannot reach the server stops its handler before the item can go to another, and says why."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker(address=proxy.address, lease=LEASE)
        put(wire, "a", operator="async_gate")
        fence = worker.begun("a")
        until(lambda: wire.get("a").received, "the lease is confirmed")
        proxy.swallow()
        later = wire.claim_one(worker="w2", wait=PATIENCE - 5)
        claimed_at = time.monotonic()
        told_fence, stopped_at = worker.wait_for("stop a ")
        assert int(told_fence) == fence < later.fence
        assert float(stopped_at) < claimed_at
        worker.wait_for_log(Reason.LEASE_EXPIRED)


def test_same_item_twice_newer_wins(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """A worker that gets an item again while it still runs it: the newer run's output counts, the older is stopped."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker(address=proxy.address, lease=LEASE)
        put(wire, "a", operator="gate")
        older = worker.begun("a")
        until(lambda: wire.get("a").received, "the lease is confirmed")
        proxy.swallow()
        until(lambda: wire.status("a") != "CLAIMED", "the lease is over")
        proxy.heal()
        newer = int(worker.wait_for("begin a ", 2)[0])
        assert newer > older
        worker.go("a")
        assert output(wire, "a") == {"by": "w1", "fence": newer}
        worker.wait_for("end a ", 2)
    first, *between, last = [attempt.end for attempt in wire.get("a").attempts]
    assert (first, last) == (pb.ATTEMPT_END_LEASE_LOST, pb.ATTEMPT_END_COMPLETED)
    assert set(between) <= {pb.ATTEMPT_END_OFFER_EXPIRED}, "offers into the broken connection cost nothing"


def test_retries_spread(wire: Wire, start_worker: StartWorker) -> None:
    """A thousand items that fail in the same moment do not come back in the same moment."""
    count, hour = 1000, 3600
    policy = pb.RetryPolicy(attempts=3, backoff=seconds(hour), strategy=pb.BACKOFF_STRATEGY_JITTER)
    start_worker(slots=count)
    put(wire, *(f"i{number}" for number in range(count)), operator="fail", retry_policy=policy)
    until(lambda: wire.topic().retry_wait_count > count * 0.98, "they have failed")
    request = ops.ListWorkItemsRequest(
        namespace=wire.namespace, worker_topic=TOPIC, status=pb.WORK_ITEM_STATUS_RETRY_WAIT, page_size=1000
    )
    due: list[float] = []
    while True:
        page = wire.ops.ListWorkItems(request, timeout=PATIENCE)
        due += [item.due_time.ToMilliseconds() / 1000 for item in page.items if item.retry_count == 1]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    first = min(due)
    buckets = Counter(int((at - first) / hour * 10) for at in due)
    assert sum(buckets.values()) > count * 0.95
    assert set(buckets) <= set(range(11))
    assert all(count * 0.06 < buckets[tenth] < count * 0.14 for tenth in range(1, 9)), buckets
    assert max(later - earlier for earlier, later in pairwise(sorted(due))) < hour / 20
