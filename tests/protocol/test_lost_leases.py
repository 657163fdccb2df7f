"""What a lease that ran out costs, and what late words of its worker still count for."""

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_stream_pb2 as frames
from support.waiting import until
from support.wire import Wire, seconds

SHORT = seconds(1)
"""The shortest lease there is."""


def lose(wire: Wire, item_id: str = "a") -> None:
    """Wait until the lease of an item has run out."""
    until(lambda: wire.status(item_id) != "CLAIMED", "the lease runs out")


def test_a_lost_lease_costs_no_retry(wire: Wire) -> None:
    """The next worker gets the item soon, with the same attempt and a larger fence; the history tells both."""
    wire.put("a")
    first = wire.claim_one(worker="w1", lease_duration=SHORT)
    second = wire.claim_one(worker="w2", wait=20)
    assert (second.attempt, second.claim_count) == (1, 2)
    assert second.fence > first.fence
    item = wire.get()
    assert (item.retry_count, item.lease_loss_count) == (0, 1)
    assert [(each.worker_id, each.end) for each in item.attempts] == [
        ("w1", pb.ATTEMPT_END_LEASE_LOST),
        ("w2", pb.ATTEMPT_END_UNSPECIFIED),
    ]
    assert item.attempts[0].due_time.ToMilliseconds() - item.attempts[0].end_time.ToMilliseconds() <= 500


def test_a_superseded_worker_learns_by_whom_and_its_output_is_kept(wire: Wire) -> None:
    """Whatever it reports changes nothing else; the same report again gets the same answer."""
    wire.put("a")
    first = wire.claim_one(worker="w1", lease_duration=SHORT)
    second = wire.claim_one(worker="w2", wait=20)
    (refused,) = wire.complete(first, output=b'"late"')
    assert (refused.reason, refused.superseded_by) == (Reason.SUPERSEDED.number, "w2")
    assert refused.late_output_kept
    assert refused.HasField("superseded_ago")
    assert wire.complete(first, output=b'"late"')[0] == refused
    assert wire.heartbeat(first).reason == wire.fail(first)[0].reason == Reason.CONFLICTING_REPORT.number
    (late,) = wire.get().late_outputs
    assert (late.worker_id, late.output, late.fence) == ("w1", b'"late"', first.fence)
    assert late.reason == "SUPERSEDED"
    assert wire.complete(second, output=b'"in time"')[0].reason == 0
    assert wire.get().outcome.output == b'"in time"'


def test_of_a_large_late_output_only_that_there_was_one_is_kept(wire: Wire) -> None:
    """64 KiB are kept; of a larger one people see the size, and the verdict does not claim more."""
    wire.put("a", "b")
    for item_id, size in (("a", 65_536), ("b", 65_537)):
        lease = wire.claim_one()
        wire.cancel(item_id)
        (verdict,) = wire.complete(lease, output=b"x" * size)
        (late,) = wire.get(item_id).late_outputs
        assert (verdict.late_output_kept, len(late.output), late.size_bytes) == (size == 65_536, size % 65_537, size)


def test_a_superseded_heartbeat_is_refused(wire: Wire) -> None:
    """It is how a worker that was cut off learns that it must stop."""
    wire.put("a")
    first = wire.claim_one(worker="w1", lease_duration=SHORT)
    second = wire.claim_one(worker="w2", wait=20)
    assert wire.heartbeat(first).reason == Reason.SUPERSEDED.number
    wire.complete(second)
    verdict = wire.heartbeat(first)
    assert (verdict.reason, verdict.superseded_by) == (Reason.ALREADY_DONE_BY_OTHER.number, "w2")


def test_work_that_was_finished_late_counts_if_nobody_took_over(wire: Wire) -> None:
    """The lease was lost, the work was not."""
    wire.put("a")
    lease = wire.claim_one(lease_duration=SHORT)
    lose(wire)
    assert wire.complete(lease, output=b"1")[0].reason == 0
    item = wire.get()
    assert (item.status, item.outcome.output) == (pb.WORK_ITEM_STATUS_DONE, b"1")
    assert [each.end for each in item.attempts] == [pb.ATTEMPT_END_LEASE_LOST, pb.ATTEMPT_END_COMPLETED]


def test_a_late_heartbeat_takes_the_lease_back_if_nobody_took_over(wire: Wire) -> None:
    """With the same fence: the worker never stopped."""
    wire.put("a")
    lease = wire.claim_one(lease_duration=SHORT)
    lose(wire)
    assert wire.heartbeat(lease, lease_duration=seconds(30)).reason == 0
    item = wire.get()
    assert (item.status, item.fence, item.claim_count) == (pb.WORK_ITEM_STATUS_CLAIMED, lease.fence, 1)
    assert wire.claim() == []


def test_a_late_failure_costs_nothing_more(wire: Wire) -> None:
    """The loss of the lease was counted already; the error is kept for people."""
    wire.put("a", retry_policy=pb.RetryPolicy(attempts=5))
    lease = wire.claim_one(lease_duration=SHORT)
    lose(wire)
    assert wire.fail(lease, message="m")[0].reason == 0
    item = wire.get()
    assert (item.retry_count, item.lease_loss_count) == (0, 1)
    assert item.attempts[-1].failure.message == "m"


def test_too_many_lost_leases_make_a_dead_letter_that_late_work_still_saves(wire: Wire) -> None:
    """The item may be killing its workers, or it is only slow."""
    wire.put("a", max_lease_losses=0)
    lease = wire.claim_one(lease_duration=SHORT)
    lose(wire)
    item = wire.get()
    assert (item.status, item.dead_letter_reason) == (
        pb.WORK_ITEM_STATUS_DEAD_LETTER,
        pb.DEAD_LETTER_REASON_LEASE_LOST,
    )
    assert wire.heartbeat(lease).reason == Reason.LEASE_EXPIRED.number
    assert wire.complete(lease)[0].reason == 0
    assert wire.status() == "DONE"


def test_progress_resets_the_count_of_lost_leases(wire: Wire) -> None:
    """An item that gets on is not poison."""
    wire.put("a", max_lease_losses=1)
    wire.claim_one(lease_duration=SHORT)
    lease = wire.claim_one(wait=20, lease_duration=SHORT)
    assert wire.get().lease_loss_count == 1
    wire.heartbeat(lease, progress=b"half")
    assert wire.get().lease_loss_count == 0
    assert wire.claim_one(wait=20).progress == b"half"


def test_an_attempt_ends_however_often_it_is_heartbeaten(wire: Wire) -> None:
    """It fails as any failure does; what it still reports comes too late and is kept."""
    wire.put("a", attempt_timeout=seconds(1), retry_policy=pb.RetryPolicy(attempts=1))
    lease = wire.claim_one()
    assert wire.heartbeat(lease).lease_duration.ToMilliseconds() <= 1000
    lose(wire)
    item = wire.get()
    assert item.retry_count == 1
    assert (item.attempts[0].end, item.attempts[0].failure.type) == (
        pb.ATTEMPT_END_ATTEMPT_TIMEOUT,
        "ATTEMPT_TIMEOUT",
    )
    (verdict,) = wire.complete(lease)
    assert (verdict.reason, verdict.late_output_kept) == (Reason.LEASE_EXPIRED.number, True)
    assert wire.complete(lease)[0] == verdict


def test_the_end_of_an_attempt_is_pushed(wire: Wire) -> None:
    """A worker that hangs on is told to stop."""
    wire.put("a", attempt_timeout=seconds(1))
    with wire.session(credit=1) as session:
        (lease,) = session.leases(1)
        (cancel,) = session.expect("cancels").cancels
    assert (cancel.item_id, cancel.fence, cancel.reason) == ("a", lease.fence, Reason.LEASE_EXPIRED.number)


@pytest.mark.parametrize("how", ["heartbeat", "complete", "fail", "release"])
def test_a_cancelled_item_refuses_every_report(wire: Wire, how: str) -> None:
    """Each of them learns why, so a worker without a stream learns of it with its next heartbeat."""
    wire.put("a")
    lease = wire.claim_one()
    wire.cancel("a")
    answers = {"heartbeat": lambda: wire.heartbeat(lease)}
    verdict = answers[how]() if how in answers else getattr(wire, how)(lease)[0]
    assert (verdict.reason, verdict.status) == (Reason.CANCELLED.number, pb.WORK_ITEM_STATUS_CANCELLED)


def test_a_worker_that_is_gone_leaves_its_items_to_others(wire: Wire) -> None:
    """A stream that breaks takes nothing with it; the lease decides, and its reports count while it stands."""
    wire.put("a")
    with wire.session(credit=1, lease_duration=SHORT) as session:
        (lease,) = session.leases(1)
        session.settle()
    again = wire.claim_one(worker="w2", wait=20)
    assert again.fence > lease.fence
    with wire.work() as back:
        hello = {"namespace": wire.namespace, "worker_id": "w1", "worker_topics": ["topic"]}
        (verdict,) = back.hello(**hello, held_lease_tokens=[lease.lease_token]).held_leases
    assert (verdict.reason, verdict.superseded_by) == (Reason.SUPERSEDED.number, "w2")


def test_every_frame_may_come_twice(wire: Wire) -> None:
    """Credits, receipts, reports, pings and the drain: a duplicate changes nothing and gets the same answer."""
    wire.put("a", "b")
    with wire.session() as session:
        session.grant(1)
        session.grant(1)
        offers = session.expect("offers")
        session.receive(offers.offer_sequence)
        session.receive(offers.offer_sequence)
        report = lease_pb2.CompleteReport(lease_token=offers.leases[0].lease_token, report_id=1, output=b"1")
        session.report(completes=[report])
        first = session.verdicts()[1]
        session.report(completes=[report])
        assert session.verdicts()[1] == first
        for _ in range(2):
            session.send(frames.WorkRequest(ping=frames.Ping(ping_id=5)))
            assert session.expect("ping").answer == 5
        for _ in range(2):
            session.send(frames.WorkRequest(drain=frames.Drain()))
        session.grant(9)
        session.settle(ping_id=6)
        session.close()
        assert [frame for frame in session.rest() if frame.WhichOneof("frame") == "offers"] == []
    assert (wire.status("a"), wire.status("b")) == ("DONE", "READY")
