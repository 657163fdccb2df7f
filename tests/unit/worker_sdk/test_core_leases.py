"""Leases: receipts, credits, the lease clock, heartbeats, cancels, one item twice."""

from typing import Any

import pytest
from unit.worker_sdk.core_driver import CoreDriver, verdict
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker._durations import duration_of
from bloge_worker._leases import JITTER, MARGIN, HeldLease

SUPERSEDED = error_reason_pb2.ERROR_REASON_SUPERSEDED


def connected(**settings: Any) -> CoreDriver:
    driver = CoreDriver(**settings)
    driver.connect()
    return driver


def topic_totals(grant: work_stream_pb2.Credits) -> dict[str, int]:
    return {each.worker_topic: each.items_total for each in grant.topics}


def test_offers_are_received_at_once_and_started() -> None:
    """The receipt goes out in the turn in which the offer came, before anything runs."""
    driver = connected()
    started = driver.offer(lease_of("a"), lease_of("b"))
    assert [held.key for held in started] == [("topic", "a"), ("topic", "b")]
    assert driver.sent("receipt") == [work_stream_pb2.Receipt(offer_sequence=1)]


def test_one_receipt_covers_the_offers_of_a_turn() -> None:
    """Several offers that arrive together get one receipt up to the last."""
    driver = connected()
    for sequence in (1, 2):
        offers = work_stream_pb2.Offers(offer_sequence=sequence, leases=[lease_of(f"i{sequence}")])
        driver.core.receive(1, work_stream_pb2.WorkResponse(offers=offers), driver.now)
    driver.turn()
    assert driver.sent("receipt") == [work_stream_pb2.Receipt(offer_sequence=2)]
    assert len(driver.effects.starts) == 2


def test_a_repeated_offer_is_received_again_and_not_run_again() -> None:
    """A duplicate of a frame is harmless: same receipt, nothing started, no credit moved."""
    driver = connected(slots=1)
    driver.offer(lease_of("a"))
    driver.sequence = 0
    assert driver.offer(lease_of("a")) == []
    assert driver.sent("receipt") == [work_stream_pb2.Receipt(offer_sequence=1)]
    assert driver.sent("credits") == []


def test_a_gap_in_the_offers_ends_the_session() -> None:
    """A missing frame cannot be received, so the session is cut and nothing of it runs."""
    driver = connected()
    driver.sequence = 1
    assert driver.offer(lease_of("b")) == []
    assert driver.effects.aborts == [1]
    assert not driver.core.is_connected


def test_credits_return_when_a_third_of_the_slots_is_free() -> None:
    """A grant waits for a third of the slots, and restores offered + slots - held."""
    driver = connected(slots=6)
    held = driver.offer(*(lease_of(f"i{n}") for n in range(5)))
    driver.complete(held[0])
    assert driver.sent("credits") == []
    driver.complete(held[1])
    assert [grant.items_total for grant in driver.sent("credits")] == [5 + 6 - 3]


def test_credits_return_at_once_when_the_server_has_none_left() -> None:
    """With nothing outstanding a single free slot is granted: a full worker never waits for a third."""
    driver = connected(slots=8)
    held = driver.offer(*(lease_of(f"i{n}") for n in range(8)))
    driver.complete(held[0])
    assert [grant.items_total for grant in driver.sent("credits")] == [9]


def test_a_new_session_grants_only_what_leases_from_before_leave_free() -> None:
    """Held leases occupy their slots across a reconnect."""
    driver = connected(slots=8)
    held = driver.offer(*(lease_of(f"i{n}") for n in range(5)))
    driver.break_stream()
    driver.connect(held_leases=[lease_pb2.Verdict() for _ in held])
    assert [grant.items_total for grant in driver.sent("credits")] == [3]


def test_a_topic_that_can_run_fewer_items_has_credits_of_its_own() -> None:
    """Items that would wait for their turn are left to other workers, and their slots to other topics."""
    driver = CoreDriver(topic_limits={"narrow": 2, "wide": 8}, slots=8)
    driver.connect()
    (grant,) = driver.sent("credits")
    assert (grant.items_total, topic_totals(grant)) == (8, {"narrow": 2})
    held = driver.offer(lease_of("a", topic="narrow"), lease_of("b", topic="narrow"), lease_of("c", topic="wide"))
    assert driver.sent("credits") == [], "nothing is free of the narrow one, and little of all"
    driver.complete(held[2])
    assert driver.sent("credits") == []
    driver.complete(held[0])
    (grant,) = driver.sent("credits")
    assert (grant.items_total, topic_totals(grant)) == (10, {"narrow": 3})


def test_leases_from_before_a_reconnect_count_against_their_topic() -> None:
    """A new session grants what they leave free, of each topic."""
    driver = CoreDriver(topic_limits={"narrow": 2, "wide": 8}, slots=8)
    driver.connect()
    driver.offer(lease_of("a", topic="narrow"), lease_of("b", topic="narrow"))
    driver.break_stream()
    driver.connect()
    (grant,) = driver.sent("credits")
    assert (grant.items_total, topic_totals(grant)) == (6, {"narrow": 0})


def test_byte_credits_are_never_zero_which_would_mean_without_limit() -> None:
    """A worker that holds more bytes than its limit grants one byte, not all of them."""
    driver = connected(slots=8, max_held_bytes=100)
    held = driver.offer(lease_of("big", payload=b"x" * 500))
    driver.break_stream()
    driver.connect(held_leases=[lease_pb2.Verdict() for _ in held])
    assert [grant.bytes_total for grant in driver.sent("credits")] == [1]


def test_byte_credits_return_with_the_bytes() -> None:
    """Finishing a large item grants its bytes again."""
    driver = connected(slots=8, max_held_bytes=100)
    (held,) = driver.offer(lease_of("big", payload=b"x" * 90))
    assert driver.sent("credits") == []
    driver.complete(held)
    assert [grant.bytes_total for grant in driver.sent("credits")] == [190]


def test_a_lease_is_heartbeaten_at_a_third_with_jitter() -> None:
    """The first heartbeat comes within a third of the lease, and no sooner than the jitter allows."""
    driver = connected()
    (held,) = driver.offer(lease_of("a", duration=30.0))
    start = driver.now
    while not driver.reports("heartbeats"):
        assert driver.now <= start + 10.0
        driver.turn(0.25)
    assert driver.now >= start + 10.0 * (1 - JITTER) - 2.5
    assert [beat.lease_token for beat in driver.reports("heartbeats")] == [held.token]


def test_heartbeats_of_many_leases_share_a_frame() -> None:
    """Leases that came close together are beaten together."""
    driver = connected(slots=100)
    for n in range(5):
        driver.offer(*(lease_of(f"i{n}-{m}") for m in range(10)))
        driver.turn(0.2)
    while not driver.reports("heartbeats"):
        driver.turn(0.25)
    assert len(driver.sent("reports")) == 1
    assert len(driver.reports("heartbeats")) == 50


def test_a_confirmed_heartbeat_counts_from_when_it_was_sent() -> None:
    """A slow verdict cannot stretch the lease: it counts from the sending, and ends a margin early."""
    driver = connected()
    (held,) = driver.offer(lease_of("a", duration=30.0))
    while not (beats := driver.reports("heartbeats")):
        driver.turn(0.25)
    sent_at = driver.now
    driver.now += 8.0
    driver.judge(verdict(beats[0], lease_duration=duration_of(30.0)))
    assert held.stop_at == sent_at + 30.0 - MARGIN


def test_an_unconfirmed_lease_stops_its_handler_a_margin_before_the_end() -> None:
    """Without any verdict the handler is stopped at lease minus margin from the receipt, and told why."""
    driver = connected()
    driver.offer(lease_of("a", duration=30.0))
    received_at = driver.now
    driver.now += 0.5
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    driver.break_stream()
    cancels: list[tuple[HeldLease, str]] = []
    while not cancels:
        assert driver.core.wakeup() <= received_at + 30.0 - MARGIN
        driver.now = driver.core.wakeup()
        cancels = driver.turn().cancels
        if driver.effects.opens:
            driver.break_stream()
    assert [(held.key[1], reason) for held, reason in cancels] == [("a", "LEASE_EXPIRED")]
    assert driver.now == received_at + 30.0 - MARGIN


def test_the_margin_of_a_short_lease_is_a_third() -> None:
    """A lease of 1.5 s is trusted for 1 s."""
    driver = connected()
    (held,) = driver.offer(lease_of("a", duration=1.5))
    assert held.stop_at == driver.now + 1.0


def test_a_receipt_that_may_not_have_arrived_is_trusted_for_the_offer_lease_only() -> None:
    """If the stream breaks with no word after the receipt, the server may still be counting the short offer lease."""
    driver = connected()
    driver.now += 1.0
    (doubtful,) = driver.offer(lease_of("a", duration=30.0))
    driver.break_stream()
    assert doubtful.stop_at == pytest.approx(driver.now + 5.0 * 2 / 3)


def test_a_receipt_followed_too_soon_by_a_frame_is_not_trusted() -> None:
    """The server has it, and may not have told its store yet when both of them die."""
    driver = connected()
    (doubtful,) = driver.offer(lease_of("a", duration=30.0))
    driver.now += 0.4
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    driver.break_stream()
    assert doubtful.stop_at == pytest.approx(driver.now - 0.4 + 5.0 * 2 / 3)


def test_a_receipt_followed_by_a_frame_is_trusted() -> None:
    """A frame that came half a second after the receipt was sent shows that the store was told of it."""
    driver = connected()
    (held,) = driver.offer(lease_of("a", duration=30.0))
    driver.now += 0.5
    driver.receive(ping=work_stream_pb2.Ping(answer=1))
    driver.break_stream()
    assert held.stop_at == driver.now - 0.5 + 30.0 - MARGIN


def test_a_receipt_is_soon_followed_by_a_question() -> None:
    """A receipt has no answer, so a ping half a second later finds out whether the server is there."""
    driver = connected()
    driver.offer(lease_of("a"), lease_of("b"))
    driver.turn(0.5)
    assert [ping.ping_id for ping in driver.sent("ping")] == [1]
    driver.turn(0.5)
    assert driver.sent("ping") == []


def test_held_leases_are_named_and_kept_from_when_hello_was_sent() -> None:
    """A kept lease counts from Hello, not from Welcome."""
    driver = connected()
    (held,) = driver.offer(lease_of("a", duration=30.0))
    driver.now += 1.0
    driver.break_stream()
    driver.now = driver.core.wakeup()
    driver.turn()
    assert list(driver.sent("hello")[0].held_lease_tokens) == [held.token]
    hello_sent_at = driver.now
    driver.now += 4.0
    driver.be_welcomed(held_leases=[lease_pb2.Verdict(lease_duration=duration_of(30.0))])
    assert driver.cancels() == []
    assert held.stop_at == hello_sent_at + 30.0 - MARGIN


def test_held_leases_that_the_server_drops_are_stopped() -> None:
    """Each verdict in Welcome speaks for the lease at its place in Hello."""
    driver = connected()
    driver.offer(lease_of("kept"), lease_of("dropped"))
    driver.break_stream()
    driver.connect(held_leases=[lease_pb2.Verdict(), lease_pb2.Verdict(reason=SUPERSEDED)])
    assert driver.cancels() == [("dropped", "SUPERSEDED")]


def test_a_held_lease_that_the_server_cannot_judge_runs_on() -> None:
    """A store that is away says nothing about a lease: the lease clock decides."""
    driver = connected()
    driver.offer(lease_of("a"))
    driver.break_stream()
    unavailable = error_reason_pb2.ERROR_REASON_STORE_UNAVAILABLE
    driver.connect(held_leases=[lease_pb2.Verdict(reason=unavailable)])
    assert driver.cancels() == []
