"""The `Work` stream, frame by frame."""

import grpc
import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from support.wire import TOPIC, Wire, WorkSession, refused, seconds

TWO_RETRIES = work_item_pb2.RetryPolicy(attempts=2)


def opening(wire: Wire, **changes: object) -> pb.WorkRequest:
    """Return a hello."""
    known = {"namespace": wire.namespace, "worker_id": "w1", "worker_topics": [TOPIC]}
    return pb.WorkRequest(hello=pb.Hello(**{**known, **changes}))  # type: ignore[arg-type]  # real fields


def ids(leases: list[lease_pb2.Lease]) -> list[str]:
    """Return the items of leases."""
    return [lease.spec.item_id for lease in leases]


def complete(session: WorkSession, *leases: lease_pb2.Lease) -> dict[int, lease_pb2.Verdict]:
    """Complete leases on a stream; report ids begin at 1."""
    reports = [
        lease_pb2.CompleteReport(lease_token=lease.lease_token, report_id=index)
        for index, lease in enumerate(leases, start=1)
    ]
    session.report(completes=reports)
    return session.verdicts(len(leases))


@pytest.mark.parametrize(
    "first",
    [pb.WorkRequest(), pb.WorkRequest(credits=pb.Credits(items_total=1)), pb.WorkRequest(ping=pb.Ping(ping_id=1))],
)
def test_the_first_frame_must_be_a_hello(wire: Wire, first: pb.WorkRequest) -> None:
    """Anything else is a protocol violation."""
    with wire.work() as session:
        session.send(first)
        with refused() as told:
            session.next()
        assert session.call.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert told[0].reason is Reason.PROTOCOL_VIOLATION


def test_a_stream_that_says_nothing_is_refused(wire: Wire) -> None:
    """Closing one's side is no hello."""
    with wire.work() as session:
        session.close()
        with refused() as told:
            session.rest()
    assert told[0].reason is Reason.PROTOCOL_VIOLATION


@pytest.mark.parametrize("frame", ["hello", "empty"])
def test_a_frame_that_may_not_follow_ends_the_session(wire: Wire, frame: str) -> None:
    """A second hello, or a frame of a kind that this release does not know."""
    with wire.session() as session:
        session.send(opening(wire) if frame == "hello" else pb.WorkRequest())
        with refused() as told:
            session.rest()
    assert told[0].reason is Reason.PROTOCOL_VIOLATION


def test_a_hello_tells_every_wrong_field(wire: Wire) -> None:
    """With its path from the frame's root."""
    with wire.work() as session:
        session.send(opening(wire, worker_id="", worker_topics=["a b"], sdk="x" * 129))
        with refused() as told:
            session.next()
    assert [each.field for each in told[0].fields] == ["hello.worker_id", "hello.worker_topics[0]", "hello.sdk"]


@pytest.mark.parametrize("count", [0, 65])
def test_a_session_serves_one_to_sixty_four_topics(wire: Wire, count: int) -> None:
    """The refusal names the list."""
    with wire.work() as session:
        session.send(opening(wire, worker_topics=[f"t{index}" for index in range(count)]))
        with refused() as told:
            session.next()
    assert [each.field for each in told[0].fields] == ["hello.worker_topics"]


def test_a_welcome_tells_how_to_behave(wire: Wire) -> None:
    """Every interval and limit of the session."""
    with wire.work() as session:
        welcome = session.hello(namespace=wire.namespace, worker_id="w1", worker_topics=[TOPIC])
    assert welcome.session_id
    assert (welcome.lease_duration.seconds, welcome.heartbeat_interval.seconds) == (30, 10)
    assert (welcome.offer_lease_duration.seconds, welcome.ping_interval.seconds) == (5, 10)
    assert (welcome.silence_limit.seconds, welcome.max_payload_bytes) == (30, 1_048_576)
    assert (welcome.max_batch_size, len(welcome.held_leases)) == (500, 0)
    assert welcome.server_version


@pytest.mark.parametrize(("wanted", "given"), [(90, 90), (0.1, 1), (9999, 3600)])
def test_a_session_may_ask_for_its_lease(wire: Wire, wanted: float, given: int) -> None:
    """The welcome says what is given, and offers have it."""
    wire.put("a")
    with wire.work() as session:
        hello = {"namespace": wire.namespace, "worker_id": "w1", "worker_topics": [TOPIC]}
        assert session.hello(**hello, lease_duration=seconds(wanted)).lease_duration.seconds == given
        session.grant(1)
        assert session.leases(1)[0].lease_duration.seconds == given


def test_credits_limit_offers(wire: Wire) -> None:
    """No more items than the totals granted; a repeated grant grants nothing; the rest is left for others."""
    wire.put("a", "b", "c", "d", "e")
    with wire.session(credit=3) as session:
        assert ids(session.leases(3)) == ["a", "b", "c"]
        session.grant(3)
        session.settle()
        assert ids(wire.claim(5, worker="w2")) == ["d", "e"]
        wire.put("f", "g")
        session.grant(4)
        assert ids(session.leases(1)) == ["f"]
        session.settle()
        assert ids(wire.claim(5, worker="w2")) == ["g"]


def test_a_topic_may_have_credits_of_its_own(wire: Wire) -> None:
    """It gets no more than these, however much room there is; totals of topics that are not served mean nothing."""
    for topic in ("narrow", "wide"):
        wire.put(*(f"{topic}{index}" for index in range(5)), worker_topic=topic)
    with wire.session("w1", "narrow", "wide") as session:
        totals = [pb.TopicCredits(worker_topic=topic, items_total=2) for topic in ("narrow", "elsewhere")]
        session.send(pb.WorkRequest(credits=pb.Credits(items_total=20, topics=totals)))
        assert sorted(ids(session.leases(7))) == ["narrow0", "narrow1", *(f"wide{index}" for index in range(5))]
        session.settle()
        assert len(wire.claim(5, worker="w2", worker_topic="narrow")) == 3
        wire.put("more", worker_topic="narrow")
        totals[0].items_total = 3
        session.send(pb.WorkRequest(credits=pb.Credits(items_total=20, topics=totals)))
        assert ids(session.leases(1)) == ["more"]


def test_an_enqueue_is_offered_to_a_session_with_credit(wire: Wire) -> None:
    """Offers are numbered without gaps."""
    with wire.session(credit=9) as session:
        for sequence, item_id in enumerate("abc", start=1):
            wire.put(item_id)
            offers = session.expect("offers")
            assert (offers.offer_sequence, ids(offers.leases)) == (sequence, [item_id])


def test_byte_credit_limits_offers(wire: Wire) -> None:
    """A batch carries no more payload than is left, and a worker that holds nothing gets one item whatever its size."""
    wire.put("a", "b", "c", payload=b"x" * 1000)
    with wire.session() as session:
        session.grant(9, 100)
        first = session.expect("offers")
        assert ids(first.leases) == ["a"]
        session.receive(first.offer_sequence)
        session.settle()
        assert ids(wire.claim(1, worker="w2")) == ["b"]
        complete(session, *first.leases)
        assert ids(session.leases(1)) == ["c"]


def test_an_item_that_does_not_fit_keeps_those_behind_it_back(wire: Wire) -> None:
    """What is small and came later would else overtake it for ever."""
    wire.put("first", payload=b"x" * 600)
    with wire.session() as session:
        session.grant(9, 1000)
        (first,) = session.leases(1)
        wire.put("large", payload=b"x" * 600)
        wire.put("small", payload=b"x")
        session.settle()
        assert (wire.status("large"), wire.status("small")) == ("READY", "READY")
        session.grant(9, 2000)
        assert ids(session.leases(2)) == ["large", "small"]
        complete(session, first)


def test_topics_share_the_credits(wire: Wire) -> None:
    """A worker with one slot and a backlog in each topic gets some of all of them."""
    topics = ("alpha", "beta", "gamma")
    for topic in topics:
        wire.put(*(f"{topic}{index}" for index in range(6)), worker_topic=topic)
    served = []
    with wire.session("w1", *topics) as session:
        for total in range(1, 7):
            session.grant(total)
            served += [lease.spec.worker_topic for lease in session.leases(1)]
    assert {topic: served.count(topic) for topic in topics} == {"alpha": 2, "beta": 2, "gamma": 2}


def test_sessions_take_turns(wire: Wire) -> None:
    """Two workers of a topic both get work while there is some."""
    wire.put(*(f"i{index}" for index in range(20)))
    with wire.session("w1", credit=10) as first, wire.session("w2", credit=10) as second:
        assert len({*ids(first.leases(10)), *ids(second.leases(10))}) == 20


def test_a_receipt_gives_the_full_lease(wire: Wire) -> None:
    """The item says that it was received."""
    wire.put("a")
    with wire.session(credit=1) as session:
        offers = session.expect("offers")
        offered = wire.get()
        assert (offered.received, offered.worker_id) == (False, "w1")
        session.receive(offers.offer_sequence)
        while not (received := wire.get()).received:
            session.settle()
        assert received.lease_deadline.ToMilliseconds() > offered.lease_deadline.ToMilliseconds()


def test_every_report_gets_its_verdict(wire: Wire) -> None:
    """By its report id, whatever the kinds, and whatever is wrong with some of them."""
    wire.put("a", "b", "c", "d", retry_policy=TWO_RETRIES)
    with wire.session(credit=4) as session:
        one, two, three, four = session.leases(4)
        failure = work_item_pb2.Failure(type="Boom")
        session.report(
            heartbeats=[lease_pb2.HeartbeatReport(lease_token=one.lease_token, report_id=7, progress=b"p")],
            completes=[
                lease_pb2.CompleteReport(lease_token=two.lease_token, report_id=8, output=b"2"),
                lease_pb2.CompleteReport(lease_token="nonsense", report_id=9),
            ],
            fails=[lease_pb2.FailReport(lease_token=three.lease_token, report_id=10, failure=failure)],
            releases=[lease_pb2.ReleaseReport(lease_token=four.lease_token, report_id=11)],
        )
        verdicts = session.verdicts(5)
    assert {report_id: verdict.reason for report_id, verdict in verdicts.items()} == {
        7: 0,
        8: 0,
        9: Reason.INVALID_TOKEN.number,
        10: 0,
        11: 0,
    }
    assert verdicts[7].lease_duration.seconds == 30
    assert wire.get("b").outcome.output == b"2"


def test_the_same_report_twice_gets_the_same_verdict(wire: Wire) -> None:
    """On the stream, on the next one, and by the unary twin."""
    wire.put("a")
    with wire.session(credit=1) as session:
        (lease,) = session.leases(1)
        first = complete(session, lease)[1]
        assert complete(session, lease)[1] == first
    with wire.session() as session:
        assert complete(session, lease)[1] == first
    (unary,) = wire.complete(lease, output=b"")
    assert (unary.reason, unary.status) == (first.reason, first.status)


def test_a_report_before_its_receipt_counts(wire: Wire) -> None:
    """An item that is done before its receipt was confirmed is done, and nobody is told to stop."""
    wire.put("a")
    with wire.session(credit=1) as session:
        offers = session.expect("offers")
        session.receive(offers.offer_sequence)
        assert complete(session, offers.leases[0])[1].reason == 0
        session.send(pb.WorkRequest(drain=pb.Drain()))
        session.close()
        assert [frame for frame in session.rest() if frame.WhichOneof("frame") == "cancels"] == []
    assert wire.status() == "DONE"


def test_too_many_reports_in_a_frame_end_the_session(wire: Wire) -> None:
    """At most 500."""
    with wire.session() as session:
        session.report(heartbeats=[lease_pb2.HeartbeatReport(report_id=1)] * 501)
        with refused() as told:
            session.rest()
    assert told[0].reason is Reason.PROTOCOL_VIOLATION


def test_leases_are_kept_or_dropped_after_a_reconnect(wire: Wire) -> None:
    """The welcome answers for each held lease, in order: what is still held is extended."""
    wire.put("kept", "done", "cancelled", "released")
    with wire.session(credit=4) as session:
        leases = {lease.spec.item_id: lease for lease in session.leases(4)}
    wire.complete(leases["done"])
    wire.cancel("cancelled")
    wire.release(leases["released"])
    held = [leases[name].lease_token for name in ("done", "kept", "cancelled", "released")]
    with wire.work() as session:
        hello = {"namespace": wire.namespace, "worker_id": "w1", "worker_topics": [TOPIC]}
        welcome = session.hello(**hello, held_lease_tokens=[*held, "nonsense"])
        assert [verdict.reason == 0 for verdict in welcome.held_leases] == [False, True, False, False, False]
        assert welcome.held_leases[1].lease_duration.seconds == 30
        assert welcome.held_leases[2].reason == Reason.CANCELLED.number
        assert welcome.held_leases[4].reason == Reason.INVALID_TOKEN.number
        assert complete(session, leases["kept"])[1].reason == 0


def test_a_worker_may_hold_thousands_of_leases(wire: Wire) -> None:
    """A reconnect asks for all of them at once, and each is answered."""
    count = 4500
    wire.put(*(f"i{index}" for index in range(count)))
    tokens = [lease.lease_token for _ in range(count // 500) for lease in wire.claim(500)]
    assert len(tokens) == count
    with wire.work() as session:
        hello = {"namespace": wire.namespace, "worker_id": "w1", "worker_topics": [TOPIC]}
        welcome = session.hello(**hello, held_lease_tokens=tokens)
    assert [verdict.reason for verdict in welcome.held_leases] == [0] * count


def test_a_drain_stops_offers_and_nothing_else(wire: Wire) -> None:
    """What is held is finished; everything new goes to others."""
    wire.put("held")
    with wire.session("w1", credit=99) as leaving, wire.session("w2") as staying:
        held = leaving.leases(1)
        leaving.send(pb.WorkRequest(drain=pb.Drain(reason="done for today")))
        leaving.settle()
        staying.grant(99)
        for item_id in (f"i{index}" for index in range(10)):
            wire.put(item_id)
            assert ids(staying.leases(1)) == [item_id]
        assert complete(leaving, *held)[1].reason == 0
        leaving.close()
        assert leaving.rest() == []


def test_pings_are_answered(wire: Wire) -> None:
    """With their own number."""
    with wire.session() as session:
        session.send(pb.WorkRequest(ping=pb.Ping(ping_id=41)))
        assert session.expect("ping").answer == 41


def test_the_server_pings_too(hasty: Wire) -> None:
    """Each ping has a number of its own."""
    with hasty.session() as session:
        first, second = session.expect("ping").ping_id, session.expect("ping").ping_id
    assert first
    assert second not in {0, first}


def test_a_second_session_of_a_worker_replaces_the_first(wire: Wire) -> None:
    """A worker that reconnected before the server noticed has one session; another namespace's worker is another."""
    with wire.session("w1") as first, wire.session("w1") as second:
        assert first.rest() == []
        assert first.call.code() is grpc.StatusCode.OK
        wire.put("a")
        second.grant(1)
        assert ids(second.leases(1)) == ["a"]
        with wire.work() as elsewhere:
            elsewhere.hello(namespace=f"{wire.namespace}-2", worker_id="w1", worker_topics=[TOPIC])
            elsewhere.settle()
            second.settle()


def test_a_cancel_is_pushed(wire: Wire) -> None:
    """To the worker that holds the item, with its fence and why."""
    wire.put("a", "b")
    with wire.session("w1", credit=1) as holder, wire.session("w2", credit=1) as other:
        (lease,) = holder.leases(1)
        other.leases(1)
        wire.cancel(lease.spec.item_id)
        (cancel,) = holder.expect("cancels").cancels
        assert (cancel.worker_topic, cancel.item_id, cancel.fence) == (TOPIC, lease.spec.item_id, lease.fence)
        assert cancel.reason == Reason.CANCELLED.number
        assert complete(holder, lease)[1].reason == Reason.CANCELLED.number
        other.close()
        assert [frame.WhichOneof("frame") for frame in other.rest()] == []


def test_a_passed_suspend_deadline_is_pushed(wire: Wire) -> None:
    """The node has gone on without the worker."""
    wire.put("a", suspend_timeout=seconds(0.3))
    with wire.session(credit=1) as session:
        (lease,) = session.leases(1)
        assert 0 < lease.time_remaining.ToMilliseconds() <= 300
        (cancel,) = session.expect("cancels").cancels
        assert (cancel.fence, cancel.reason) == (lease.fence, Reason.DEADLINE_PASSED.number)
        assert complete(session, lease)[1].reason == Reason.DEADLINE_PASSED.number


def test_an_offer_without_receipt_comes_back(hasty: Wire) -> None:
    """At no cost: the attempt is the same, only the number of deliveries grows."""
    hasty.put("a")
    with hasty.session("deaf", credit=1) as session:
        offered = session.expect("offers").leases[0]
        lease = hasty.claim_one(worker="w2", wait=20)
    assert (lease.attempt, lease.claim_count) == (1, 2)
    assert lease.fence > offered.fence
    item = hasty.get()
    assert (item.retry_count, item.lease_loss_count) == (0, 0)
    assert [(each.worker_id, each.end) for each in item.attempts] == [
        ("deaf", work_item_pb2.ATTEMPT_END_OFFER_EXPIRED),
        ("w2", work_item_pb2.ATTEMPT_END_UNSPECIFIED),
    ]


def test_a_receipt_that_comes_too_late_is_answered_by_a_cancel(hasty: Wire) -> None:
    """The worker must not run what somebody else may have now."""
    hasty.put("a")
    with hasty.session("slow", credit=1) as session:
        offers = session.expect("offers")
        hasty.claim_one(worker="w2", wait=20)
        session.receive(offers.offer_sequence)
        (cancel,) = session.expect("cancels").cancels
    assert (cancel.item_id, cancel.fence) == ("a", offers.leases[0].fence)
    assert cancel.reason in {Reason.OFFER_WITHDRAWN.number, Reason.SUPERSEDED.number}


def test_a_session_that_misses_three_offers_gets_none_until_it_answers(hasty: Wire) -> None:
    """Its work goes to others, and it is served again once it has shown that it listens."""
    hasty.put("a")
    with hasty.session("deaf", credit=99) as session:
        for sequence in (1, 2, 3):
            assert session.expect("offers").offer_sequence == sequence
        assert hasty.claim_one(worker="w2", wait=20).attempt == 1
        session.forget()
        # The server notices at its next ping at the latest.
        pings = [session.expect("ping").ping_id for _ in range(2)]
        hasty.put("b")
        assert ids(hasty.claim(worker="w2", wait=20)) == ["b"]
        session.send(pb.WorkRequest(ping=pb.Ping(answer=pings[-1])))
        session.settle()
        hasty.put("c")
        assert ids(session.expect("offers").leases) == ["c"]


def test_a_lost_stream_leaves_its_leases_alone(wire: Wire) -> None:
    """A worker may come back for them; what it was merely offered is free again."""
    wire.put("a")
    with wire.session(credit=1) as session:
        (lease,) = session.leases(1)
        while not wire.get().received:
            session.settle()
    assert wire.status() == "CLAIMED"
    assert wire.complete(lease)[0].reason == 0
