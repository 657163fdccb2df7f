"""One fault after the other between a worker and its server; what the item's history says afterwards.

The first words of each docstring, up to the colon, are the line of the table.
"""

import os
from collections import Counter

import grpc
import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from support.brisk import StartWorker, output, put
from support.loops import running_proxy
from support.relay import FROM_SERVER, FROM_WORKER, running_relay, twice
from support.server import ServerProcess
from support.waiting import until
from support.wire import PATIENCE, Wire, refused, seconds
from support.worker_process import WorkerProcess

FULL = os.environ.get("FULL") == "1"
FAILED_SESSIONS = 5 if FULL else 1
"""Sessions that a half-open connection costs; each after the first has 15 s to open: a minute in all, or no time."""
LONG_LEASE = 300.0 if FULL else 60.0
"""A lease that outlasts every fault here: whatever happens to the stream, the handler keeps its item."""
COMPLETED, LEASE_LOST, OFFER_EXPIRED = pb.ATTEMPT_END_COMPLETED, pb.ATTEMPT_END_LEASE_LOST, pb.ATTEMPT_END_OFFER_EXPIRED


def ends(wire: Wire, item_id: str = "a") -> list[pb.AttemptEnd.ValueType]:
    """Return how an item's deliveries ended, those that never arrived left out."""
    return [attempt.end for attempt in wire.get(item_id).attempts if attempt.end != OFFER_EXPIRED]


def costs(wire: Wire, item_id: str = "a") -> tuple[int, int]:
    """Return what an item lost: retries and leases."""
    item = wire.get(item_id)
    return item.retry_count, item.lease_loss_count


def held(wire: Wire, worker: WorkerProcess, item_id: str = "a") -> int:
    """Have a worker run an item until it is let through, under a confirmed lease; return the fence."""
    put(wire, item_id, operator="gate")
    fence = worker.begun(item_id)
    until(lambda: wire.get(item_id).received, "the lease is confirmed")
    return fence


def beaten(wire: Wire, item_id: str = "a") -> None:
    """Wait until a heartbeat has extended a lease."""
    deadline = wire.get(item_id).lease_deadline.ToMilliseconds()
    until(lambda: wire.get(item_id).lease_deadline.ToMilliseconds() > deadline, "a heartbeat extends the lease")


def test_kill_before_receipt(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """Worker killed before its receipt: the offer lapses at no cost, and another worker has the item."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker("w1", proxy.address)
        put(wire, "warm", operator="echo")
        output(wire, "warm")
        proxy.swallow(down=False)
        put(wire, "a", operator="gate")
        worker.begun("a")
        worker.kill()
    start_worker("w2").go("a")
    assert output(wire, "a")["by"] == "w2"
    assert ends(wire) == [COMPLETED]
    assert costs(wire) == (0, 0)


def test_kill_after_receipt(wire: Wire, start_worker: StartWorker) -> None:
    """Worker killed after its receipt: the lease is lost once, no retry is spent, another worker has the item."""
    worker = start_worker("w1")
    held(wire, worker)
    worker.kill()
    start_worker("w2").go("a")
    assert output(wire, "a")["by"] == "w2"
    assert ends(wire) == [LEASE_LOST, COMPLETED]
    assert costs(wire) == (0, 1)


def test_kill_before_verdict(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """Worker killed between its result and the verdict: the result stands, and nobody runs the item again."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker("w1", proxy.address)
        held(wire, worker)
        proxy.swallow(up=False)
        worker.go("a")
        assert output(wire, "a")["by"] == "w1"
        worker.kill()
    other = start_worker("w2")
    put(wire, "b", operator="echo")
    assert output(wire, "b")["by"] == "w2"
    assert other.runs() == ["b"]
    assert (ends(wire), costs(wire)) == ([COMPLETED], (0, 0))


def test_lost_verdict(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """Verdict lost with its stream: the worker repeats its result, gets the same answer, leaves with nothing open."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker("w1", proxy.address, lease=LONG_LEASE)
        held(wire, worker)
        proxy.swallow(up=False)
        worker.go("a")
        assert output(wire, "a")["by"] == "w1"
        worker.wait_for_log("connecting again")
        proxy.heal()
        worker.wait_for_log("open with server", 2)
        assert worker.stop() == 0
    assert not [line for line in worker.logged if "without verdicts" in line or "refused" in line]
    assert (ends(wire), costs(wire)) == ([COMPLETED], (0, 0))


@pytest.mark.parametrize("what", ["upwards", "downwards", "both ways"])
def test_cut(wire: Wire, brisk_address: str, start_worker: StartWorker, what: str) -> None:
    """Connection cut: the worker comes back with its lease, and the run in progress counts."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker("w1", proxy.address, lease=LONG_LEASE)
        fence = held(wire, worker)
        if what == "both ways":
            proxy.sever()
        else:
            proxy.close_way(up=what == "upwards")
        worker.wait_for_log("open with server", 2)
        worker.go("a")
        assert output(wire, "a") == {"by": "w1", "fence": fence}
    assert (worker.runs(), ends(wire), costs(wire)) == (["a"], [COMPLETED], (0, 0))


@pytest.mark.parametrize("what", ["upwards", "downwards", "both ways"])
def test_half_open(own_server: ServerProcess, namespace: str, what: str) -> None:
    """Connection half open until both ends have given it up: the worker comes back with its lease, the run counts."""
    address = own_server.serving()
    with (
        Wire(address, namespace) as wire,
        running_proxy(address) as proxy,
        WorkerProcess(proxy.address, namespace, lease=LONG_LEASE) as worker,
    ):
        fence = held(wire, worker)
        proxy.swallow(up=what != "downwards", down=what != "upwards")
        for count in range(1, FAILED_SESSIONS + 1):
            worker.wait_for_log("connecting again", count)
        own_server.wait_for("session closed")
        put(wire, "b", operator="echo")
        proxy.heal()
        worker.go("a")
        assert output(wire, "a") == {"by": "w1", "fence": fence}
        assert output(wire, "b")["by"] == "w1"
        assert (worker.runs().count("a"), ends(wire), costs(wire)) == (1, [COMPLETED], (0, 0))


def test_half_open_past_the_lease(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """Connection half open past the lease: the item goes to another worker, and the late result changes nothing."""
    with running_proxy(brisk_address) as proxy:
        worker = start_worker("w1", proxy.address, slots=1)
        held(wire, worker)
        proxy.swallow()
        other = start_worker("w2")
        other.begun("a")
        proxy.heal()
        worker.go("a")
        until(lambda: wire.get("a").late_outputs, "the late result has come")
        other.go("a")
        assert output(wire, "a")["by"] == "w2"
    assert (ends(wire), costs(wire)) == ([LEASE_LOST, COMPLETED], (0, 1))


@pytest.mark.parametrize("what", ["upwards", "downwards", "both ways"])
def test_delay(wire: Wire, brisk_address: str, start_worker: StartWorker, what: str) -> None:
    """Every chunk delayed by 0.25 s: items are done once, in order, within their leases."""
    items = [f"i{number:02}" for number in range(20)]
    with running_proxy(brisk_address) as proxy:
        worker = start_worker("w1", proxy.address, lease=5)
        proxy.proxy.up.delay = 0.25 if what != "downwards" else 0.0
        proxy.proxy.down.delay = 0.25 if what != "upwards" else 0.0
        put(wire, *items, operator="echo")
        assert {output(wire, item)["by"] for item in items} == {"w1"}
        assert proxy.proxy.delayed
    assert worker.runs() == items
    assert {costs(wire, item) for item in items} == {(0, 0)}


def test_every_frame_twice(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """Every frame sent twice, both ways: each item ends once and right, whatever its end."""
    items = [f"i{number:02}" for number in range(50)]
    with running_relay(brisk_address) as relay:
        relay.relay.up = relay.relay.down = twice
        worker = start_worker("w1", relay.address, slots=8)
        put(wire, *items, operator="echo")
        assert {output(wire, item)["by"] for item in items} == {"w1"}
        put(wire, "failing", operator="fail", retry_policy=pb.RetryPolicy(attempts=1))
        until(lambda: wire.status("failing") == "DEAD_LETTER", "the retries are spent")
        put(wire, "refused", operator="refuse")
        outcome = wire.await_outcome("refused")
        assert outcome is not None
        assert outcome.business_error.code == "REFUSED"
        put(wire, "cancelled", operator="async_gate")
        worker.begun("cancelled")
        wire.cancel("cancelled")
        worker.wait_for("stop cancelled")
        fence = held(wire, worker, "beaten")
        beaten(wire, "beaten")
        worker.go("beaten")
        assert output(wire, "beaten") == {"by": "w1", "fence": fence}
        put(wire, "given-back", operator="gate")
        worker.begun("given-back")
        wire.ops.DrainWorker(ops.DrainWorkerRequest(namespace=wire.namespace, worker_id="w1"), timeout=PATIENCE)
        assert worker.process.wait(timeout=PATIENCE) == 0
        assert set(relay.relay.sent_up) == {"hello", *FROM_WORKER}
        assert set(relay.relay.sent_down) == set(FROM_SERVER)
    runs = Counter(worker.runs())
    assert runs.pop("failing") == 2
    assert set(runs.values()) == {1}
    assert [attempt.end for attempt in wire.get("failing").attempts] == [pb.ATTEMPT_END_FAILED] * 2
    assert wire.status("given-back") == "READY"
    assert {item: costs(wire, item) for item in runs} == dict.fromkeys(runs, (0, 0))


def test_streams_refused(wire: Wire, brisk_address: str, start_worker: StartWorker) -> None:
    """Streams refused, calls let through: heartbeats keep the lease and the result arrives by unary calls."""
    with running_relay(brisk_address) as relay:
        worker = start_worker("w1", relay.address, lease=8)
        fence = held(wire, worker)
        beaten(wire)
        relay.relay.refusing_streams = True
        relay.cut_streams()
        beaten(wire)
        worker.wait_for_log("by unary calls")
        worker.go("a")
        assert output(wire, "a") == {"by": "w1", "fence": fence}
        relay.relay.refusing_streams = False
        put(wire, "b", operator="echo")
        assert output(wire, "b")["by"] == "w1"
    assert (worker.runs(), ends(wire), costs(wire)) == (["a", "b"], [COMPLETED], (0, 0))


def test_worker_stands_still(own_server: ServerProcess, namespace: str) -> None:
    """Worker stopped past the silence limit, within its lease: it comes back with the lease, and the run counts."""
    address = own_server.serving()
    with Wire(address, namespace) as wire, WorkerProcess(address, namespace, lease=LONG_LEASE) as worker:
        fence = held(wire, worker)
        worker.freeze()
        own_server.wait_for("session closed")
        worker.thaw()
        worker.wait_for_log("open with server", 2)
        worker.go("a")
        assert output(wire, "a") == {"by": "w1", "fence": fence}
        assert (worker.runs(), ends(wire), costs(wire)) == (["a"], [COMPLETED], (0, 0))


def test_a_client_that_stops_reading(own_server: ServerProcess, namespace: str) -> None:
    """Client that stops reading: it never holds more than its credits, others get all work, its session ends."""
    credit, count = 5, 40
    with Wire(own_server.serving(), namespace) as wire:
        for number in range(count):
            wire.put(f"i{number}", payload=b"x" * 500_000)
        oldest = [f"i{number}" for number in range(credit)]
        with wire.session("deaf", credit=credit):  # It reads its welcome and nothing more.
            until(lambda: all(wire.get(each).claim_count for each in oldest), "it is offered what it allows")
            with wire.session("listening", credit=count, lease_duration=seconds(LONG_LEASE)) as other:
                leases: list[str] = []
                while len(leases) < count:
                    offers = other.expect("offers")
                    other.receive(offers.offer_sequence)
                    leases += [lease.spec.item_id for lease in offers.leases]
                assert len(set(leases)) == count, "each of them once, those that the deaf one had too"
                while (closed := own_server.wait_for("session closed"))["worker_id"] != "deaf":
                    assert closed["worker_id"] == "listening"
        offered = [attempt.worker_id for number in range(count) for attempt in wire.get(f"i{number}").attempts]
        assert 0 < offered.count("deaf") <= credit
        assert {costs(wire, f"i{number}") for number in range(count)} == {(0, 0)}


def test_no_hello(wire: Wire) -> None:
    """Stream without Hello: it is refused after the silence limit."""
    with wire.work() as session:
        with refused() as told:
            session.next()
        assert session.call.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert told[0].reason is Reason.PROTOCOL_VIOLATION


def test_server_stands_still(own_server: ServerProcess, namespace: str) -> None:
    """Server stopped past the silence limit: the worker comes back with its lease, and the run counts."""
    address = own_server.serving()
    with Wire(address, namespace) as wire, WorkerProcess(address, namespace, lease=LONG_LEASE) as worker:
        fence = held(wire, worker)
        own_server.freeze()
        worker.wait_for_log("connecting again")
        own_server.thaw()
        worker.wait_for_log("open with server", 2)
        worker.go("a")
        assert output(wire, "a") == {"by": "w1", "fence": fence}
        assert (worker.runs(), ends(wire), costs(wire)) == (["a"], [COMPLETED], (0, 0))


def test_deadline_passes(wire: Wire, start_worker: StartWorker) -> None:
    """Suspend deadline passes while the worker runs: it is told to stop at once."""
    worker = start_worker("w1", lease=LONG_LEASE)
    put(wire, "a", operator="async_gate", suspend_timeout=seconds(1))
    worker.wait_for("stop a")
    outcome = wire.await_outcome("a")
    assert outcome is not None
    assert outcome.kind == pb.OUTCOME_KIND_TIMED_OUT
