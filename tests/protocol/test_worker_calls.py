"""What a worker says and asks without a stream, over the wire."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import worker_service_pb2 as calls
from support.wire import PATIENCE, TOPIC, Wire, refused, seconds

CLAIMED, READY = pb.WORK_ITEM_STATUS_CLAIMED, pb.WORK_ITEM_STATUS_READY
DONE, DEAD = pb.WORK_ITEM_STATUS_DONE, pb.WORK_ITEM_STATUS_DEAD_LETTER
ONE_RETRY = work_item_pb2.RetryPolicy(attempts=1)


def test_a_worker_learns_the_servers_settings(wire: Wire) -> None:
    """And announces itself; the same id again replaces the entry."""
    for _ in range(2):
        response = wire.register("w1", "a", "b", slots=4, sdk="test/1")
    assert (response.lease_duration.seconds, response.heartbeat_interval.seconds) == (30, 10)
    assert (response.max_payload_bytes, response.max_batch_size) == (1_048_576, 500)
    assert response.server_version


def test_a_registration_tells_every_wrong_field(wire: Wire) -> None:
    """Each topic by its index."""
    request = calls.RegisterRequest(namespace="a/b", worker_topics=["fine", "not fine"], sdk="x" * 129)
    with refused() as told:
        wire.workers.Register(request, timeout=PATIENCE)
    assert [each.field for each in told[0].fields] == ["namespace", "worker_id", "worker_topics[1]", "sdk"]


def test_a_claim_brings_the_item_and_its_lease(wire: Wire) -> None:
    """All that a handler needs."""
    wire.put("a", payload=b"in", node_id="n", suspend_timeout=seconds(60), attempt_timeout=seconds(40))
    lease = wire.claim_one(lease_duration=seconds(20))
    assert (lease.spec.item_id, lease.spec.payload, lease.spec.node_id) == ("a", b"in", "n")
    assert (lease.attempt, lease.claim_count, lease.namespace) == (1, 1, wire.namespace)
    assert lease.lease_duration.seconds == 20
    assert 0 < lease.time_remaining.ToSeconds() <= 60
    assert lease.attempt_timeout.seconds == 40
    item = wire.get()
    assert (item.status, item.fence, item.worker_id, item.received) == (CLAIMED, lease.fence, "w1", True)
    assert item.lease_deadline.ToMilliseconds() > item.enqueue_time.ToMilliseconds()


def test_the_highest_priority_comes_first_then_the_oldest(wire: Wire) -> None:
    """Whatever the order of the enqueues."""
    wire.put("c1", "c2")
    wire.put("b", priority=51)
    wire.put("a", priority=99)
    wire.put("d", priority=0)
    assert [lease.spec.item_id for lease in wire.claim(5)] == ["a", "b", "c1", "c2", "d"]


def test_an_empty_topic_is_an_empty_reply(wire: Wire) -> None:
    """At once without a wait, and after a short one."""
    assert wire.claim() == []
    assert wire.claim(wait=0.05) == []


def test_a_waiting_claim_is_woken_by_an_enqueue(wire: Wire) -> None:
    """Long before its wait is over."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wire.claim, wait=20)
        wire.put("a")
        assert [lease.spec.item_id for lease in waiting.result()] == ["a"]


def test_waiting_claims_share_what_comes(wire: Wire) -> None:
    """Each item goes to one of them, and nobody who waits is forgotten."""
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(wire.claim, worker=f"w{index}", wait=20) for index in range(4)]
        wire.put("a", "b", "c", "d")
        claimed = [lease.spec.item_id for each in waiting for lease in each.result()]
    assert sorted(claimed) == ["a", "b", "c", "d"]


def test_a_repeated_claim_returns_the_same_leases(wire: Wire) -> None:
    """A worker that lost the reply asks again and takes nothing more."""
    wire.put("a", "b", "c")
    first = wire.claim(2, request_id="r1")
    again = wire.claim(2, request_id="r1")
    assert [lease.lease_token for lease in again] == [lease.lease_token for lease in first]
    assert [lease.spec.item_id for lease in wire.claim(2, request_id="r2")] == ["c"]
    wire.complete(first[0])
    assert [lease.spec.item_id for lease in wire.claim(2, request_id="r1")] == ["b"]


def test_a_waiting_claim_may_have_a_request_id(wire: Wire) -> None:
    """Waiting and being safe to repeat go together: an empty first look does not answer for the whole wait."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wire.claim, wait=10, request_id="r1")
        wire.put("a")
        first = waiting.result()
    assert [lease.spec.item_id for lease in first] == ["a"]
    assert [lease.lease_token for lease in wire.claim(wait=10, request_id="r1")] == [first[0].lease_token]


@pytest.mark.parametrize(
    ("request_fields", "path"),
    [
        ({"worker_topic": ""}, "worker_topic"),
        ({"worker": ""}, "worker_id"),
        ({"max_items": -1}, "max_items"),
        ({"max_items": 501}, "max_items"),
        ({"wait": 60.001}, "wait_timeout"),
        ({"wait": -1}, "wait_timeout"),
        ({"request_id": "a b"}, "request_id"),
        ({"namespace": "{}"}, "namespace"),
    ],
)
def test_a_claim_out_of_range_is_refused(wire: Wire, request_fields: dict[str, object], path: str) -> None:
    """With the field."""
    with refused() as told:
        wire.claim(**request_fields)  # type: ignore[arg-type]  # the cases name real parameters
    assert [each.field for each in told[0].fields] == [path]


@pytest.mark.parametrize(("wanted", "given"), [(0.01, 1), (7200, 3600), (None, 30)])
def test_a_lease_is_clamped(wire: Wire, wanted: float | None, given: int) -> None:
    """1 s to 1 h; the lease says what was given."""
    wire.put("a")
    asked = {} if wanted is None else {"lease_duration": seconds(wanted)}
    assert wire.claim_one(**asked).lease_duration.seconds == given


def test_a_heartbeat_extends_the_lease(wire: Wire) -> None:
    """By what it asks for, else by as much as the claim got; the deadline never moves back."""
    wire.put("a")
    lease = wire.claim_one(lease_duration=seconds(10))
    verdict = wire.heartbeat(lease, lease_duration=seconds(600))
    assert (verdict.reason, verdict.status, verdict.lease_duration.seconds) == (0, CLAIMED, 600)
    later = wire.heartbeat(lease)
    assert later.lease_duration.ToSeconds() > 10


def test_progress_reaches_the_next_attempt(wire: Wire) -> None:
    """And can be read meanwhile."""
    wire.put("a", retry_policy=ONE_RETRY)
    lease = wire.claim_one()
    wire.heartbeat(lease, progress=b"half")
    assert wire.get().progress == b"half"
    wire.fail(lease)
    assert wire.claim_one().progress == b"half"


def test_an_output_finishes_the_item(wire: Wire) -> None:
    """Once, for good."""
    wire.put("a")
    lease = wire.claim_one()
    (verdict,) = wire.complete(lease, output=b"[1]")
    assert (verdict.reason, verdict.status) == (0, DONE)
    item = wire.get()
    assert (item.status, item.outcome.kind, item.outcome.output) == (DONE, pb.OUTCOME_KIND_COMPLETED, b"[1]")
    assert [each.end for each in item.attempts] == [pb.ATTEMPT_END_COMPLETED]


def test_the_same_report_twice_gets_the_same_answer(wire: Wire) -> None:
    """A worker that lost the verdict asks again; a different report conflicts."""
    wire.put("a", "b", "c", retry_policy=pb.RetryPolicy(attempts=2, backoff=seconds(600)))
    one, two, three = wire.claim(3)
    assert wire.complete(one, output=b"1") == wire.complete(one, output=b"1")
    assert wire.fail(two) == wire.fail(two)
    assert wire.release(three, delay=seconds(5)) == wire.release(three, delay=seconds(5))
    conflict = Reason.CONFLICTING_REPORT.number
    assert wire.complete(one, output=b"2")[0].reason == conflict
    assert wire.fail(one)[0].reason == conflict
    assert wire.complete(two)[0].reason == conflict
    assert wire.release(three, delay=seconds(6))[0].reason == conflict


def test_a_failure_costs_a_retry_and_then_makes_a_dead_letter(wire: Wire) -> None:
    """The verdict tells what comes next."""
    wire.put("a", retry_policy=pb.RetryPolicy(attempts=1))
    (first,) = wire.fail(wire.claim_one(), message="m", traceback="t")
    assert (first.reason, first.status) == (0, pb.WORK_ITEM_STATUS_RETRY_WAIT)
    assert first.HasField("retry_delay")
    second_lease = wire.claim_one()
    assert (second_lease.attempt, second_lease.claim_count) == (2, 2)
    (second,) = wire.fail(second_lease)
    assert (second.status, second.HasField("retry_delay")) == (DEAD, False)
    item = wire.get()
    assert item.dead_letter_reason == pb.DEAD_LETTER_REASON_BUDGET_SPENT
    assert [(each.attempt, each.end, each.failure.type) for each in item.attempts] == [
        (1, pb.ATTEMPT_END_FAILED, "Boom"),
        (2, pb.ATTEMPT_END_FAILED, "Boom"),
    ]
    assert (item.attempts[0].failure.message, item.attempts[0].failure.traceback) == ("m", "t")
    assert item.dead_letter_time.ToMilliseconds() > 0


@pytest.mark.parametrize("listed", [False, True])
def test_a_failure_that_no_retry_helps_is_a_dead_letter_at_once(wire: Wire, listed: bool) -> None:  # noqa: FBT001 - a test's parameter
    """Because the worker says so, or because the policy lists its type."""
    types = ["Boom"] if listed else []
    wire.put("a", retry_policy=pb.RetryPolicy(attempts=5, non_retryable_error_types=types))
    (verdict,) = wire.fail(wire.claim_one(), non_retryable=not listed)
    assert verdict.status == DEAD
    item = wire.get()
    assert item.dead_letter_reason == pb.DEAD_LETTER_REASON_NON_RETRYABLE
    assert item.attempts[0].failure.non_retryable is not listed


def test_a_worker_may_say_when_to_try_again(wire: Wire) -> None:
    """Its delay overrides the policy's."""
    wire.put("a", retry_policy=pb.RetryPolicy(attempts=5))
    (verdict,) = wire.fail(wire.claim_one(), retry_after=seconds(90))
    assert verdict.retry_delay.seconds == 90
    assert wire.claim() == []


def test_an_error_of_the_business_resumes_the_node(wire: Wire) -> None:
    """Without retry and without dead letter."""
    wire.put("a", retry_policy=pb.RetryPolicy(attempts=5))
    (verdict,) = wire.business_error(wire.claim_one(), code="NO_STOCK", message="m", details=b"{}")
    assert verdict.status == DONE
    outcome = wire.await_outcome()
    assert outcome is not None
    assert outcome.kind == pb.OUTCOME_KIND_FAILED
    assert (outcome.business_error.code, outcome.business_error.details) == ("NO_STOCK", b"{}")


def test_a_release_costs_nothing(wire: Wire) -> None:
    """The item is ready again with the same attempt, or later if the worker says so."""
    wire.put("a")
    (verdict,) = wire.release(wire.claim_one(), reason="busy")
    assert verdict.status == READY
    lease = wire.claim_one()
    assert (lease.attempt, lease.claim_count) == (1, 2)
    (delayed,) = wire.release(lease, delay=seconds(60))
    assert (delayed.status, delayed.retry_delay.seconds) == (pb.WORK_ITEM_STATUS_RETRY_WAIT, 60)
    ends = [(each.attempt, each.end, each.failure.message) for each in wire.get().attempts]
    assert ends == [(1, pb.ATTEMPT_END_RELEASED, "busy"), (1, pb.ATTEMPT_END_RELEASED, "")]


def test_verdicts_stand_in_the_order_of_the_reports(wire: Wire) -> None:
    """Whatever is wrong with some of them, and whatever their topics."""
    wire.put("a", "b")
    wire.put("c", worker_topic="other")
    one, two = wire.claim(2)
    three = wire.claim_one(worker_topic="other")
    nonsense = lease_pb2.Lease(lease_token="nonsense")
    gone = lease_pb2.Lease(lease_token=f"{wire.namespace}/{TOPIC}/nobody/1/nonce")
    large = lease_pb2.CompleteReport(lease_token=one.lease_token, output=b"x" * 1_048_577)
    request = calls.CompleteRequest(
        reports=[
            lease_pb2.CompleteReport(lease_token=nonsense.lease_token),
            large,
            lease_pb2.CompleteReport(lease_token=two.lease_token),
            lease_pb2.CompleteReport(lease_token=three.lease_token),
            lease_pb2.CompleteReport(lease_token=gone.lease_token),
        ]
    )
    verdicts = wire.workers.Complete(request, timeout=PATIENCE).verdicts
    assert [each.reason for each in verdicts] == [
        Reason.INVALID_TOKEN.number,
        Reason.TOO_LARGE.number,
        0,
        0,
        Reason.NOT_FOUND.number,
    ]
    assert wire.get("b").outcome.kind == wire.get("c", "other").outcome.kind == pb.OUTCOME_KIND_COMPLETED


@pytest.mark.parametrize("spoil", ["nonce", "fence", "item", "namespace", "shape"])
def test_a_forged_token_changes_nothing(wire: Wire, spoil: str) -> None:
    """Whatever part of it was made up, and whatever it reports."""
    wire.put("a", "b")
    lease = wire.claim_one()
    namespace, topic, item_id, fence, nonce = lease.lease_token.split("/")
    forged = {
        "nonce": f"{namespace}/{topic}/{item_id}/{fence}/{'A' * len(nonce)}",
        "fence": f"{namespace}/{topic}/{item_id}/{int(fence) + 1}/{nonce}",
        "item": f"{namespace}/{topic}/b/{fence}/{nonce}",
        "namespace": f"elsewhere/{topic}/{item_id}/{fence}/{nonce}",
        "shape": lease.lease_token + "/x",
    }[spoil]
    thief = lease_pb2.Lease(lease_token=forged)
    expected = (Reason.NOT_FOUND if spoil == "namespace" else Reason.INVALID_TOKEN).number
    verdicts = [*wire.complete(thief), *wire.fail(thief), *wire.release(thief), wire.heartbeat(thief)]
    assert [(each.reason, each.status) for each in verdicts] == [(expected, 0)] * 4
    assert (wire.get("a").status, wire.get("b").status) == (CLAIMED, READY)


def test_a_superseded_worker_learns_by_whom(wire: Wire) -> None:
    """Its output is kept for people."""
    wire.put("a")
    first = wire.claim_one(worker="w1")
    wire.release(first)
    second = wire.claim_one(worker="w2")
    assert second.fence > first.fence
    assert wire.heartbeat(first).reason == Reason.CONFLICTING_REPORT.number
    wire.complete(second, output=b"second")
    assert wire.get().outcome.output == b"second"


def test_too_many_or_no_reports_are_refused(wire: Wire) -> None:
    """1 to 500."""
    for reports in ([], [lease_pb2.HeartbeatReport(lease_token="x")] * 501):
        with refused() as told:
            wire.workers.Heartbeat(calls.HeartbeatRequest(reports=reports), timeout=PATIENCE)
        assert [each.field for each in told[0].fields] == ["reports"]


def test_a_report_without_cause_is_an_invalid_field(wire: Wire) -> None:
    """The lease goes on."""
    wire.put("a")
    lease = wire.claim_one()
    assert wire.fail(lease, kind="")[0].reason == Reason.INVALID_FIELD.number
    assert wire.status() == "CLAIMED"


def test_leases_with_much_progress_fit_a_reply(wire: Wire) -> None:
    """Details of earlier attempts count against the size of a reply too (promise L9)."""
    ids = [f"i{index}" for index in range(80)]
    wire.put(*ids)
    leases = wire.claim(80)
    for start in range(0, 80, 40):
        reports = [
            lease_pb2.HeartbeatReport(lease_token=lease.lease_token, progress=b"x" * 65_536)
            for lease in leases[start : start + 40]
        ]
        wire.workers.Heartbeat(calls.HeartbeatRequest(reports=reports), timeout=PATIENCE)
    wire.release(*leases)
    claimed: list[str] = []
    while len(claimed) < 80:
        batch = wire.claim(80)
        assert batch
        claimed += [lease.spec.item_id for lease in batch]
    assert claimed == ids
