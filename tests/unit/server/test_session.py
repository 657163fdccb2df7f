"""What one session may be offered, and how it notices a worker that no longer listens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloge_server.dispatch.dispatcher import NO_BYTE_LIMIT, NO_ROOM, Room
from bloge_server.dispatch.session import MISSED_OFFERS_LIMIT, PING_TICK, Session, Timing
from bloge_server.domain.lease_token import LeaseToken

LEASE, OFFER_LEASE, PING, SILENCE = 30.0, 5.0, 10.0, 30.0
TIMING = Timing(LEASE, OFFER_LEASE, PING, SILENCE)


def tokens(*names: str) -> list[LeaseToken]:
    """Return tokens of items by name."""
    return [LeaseToken("default", "topic", f"{name}/1/nonce") for name in names]


def granted(items: int, max_bytes: int = 0) -> Session:
    """Return a session with credits."""
    session = Session(TIMING, 0.0)
    session.grant(items, max_bytes)
    return session


def miss(session: Session, count: int, now: float) -> float:
    """Let offers lapse one after another; return the time."""
    for _ in range(count):
        session.offer(tokens("x"), 1, now)
        now += OFFER_LEASE
        session.tick(now)
    return now


def test_nothing_is_offered_without_credits() -> None:
    """A new session has no room."""
    assert Session(TIMING, 0.0).room(0.0).items == 0


def test_credits_are_totals() -> None:
    """A repeated frame grants nothing, and one that was overtaken takes nothing back."""
    session = granted(5)
    session.grant(5, 0)
    session.grant(3, 0)
    assert session.room(0.0) == Room(5, NO_BYTE_LIMIT)


def test_offers_use_credits_up_for_good() -> None:
    """What was offered counts against the total, received or not."""
    session = granted(3)
    sequence = session.offer(tokens("a", "b"), 10, 0.0)
    assert session.room(0.0).items == 1
    session.receive(sequence)
    assert session.room(0.0).items == 1
    session.grant(5, 0)
    assert session.room(0.0).items == 3


def test_offers_are_numbered_from_one_without_gaps() -> None:
    """The sequence tells the worker that nothing is missing."""
    session = granted(9)
    assert [session.offer(tokens("a"), 1, 0.0) for _ in range(3)] == [1, 2, 3]


def test_byte_credit_bounds_an_offer() -> None:
    """What is left of the byte credit goes with the room, and what does not fit stays behind."""
    session = granted(9, 100)
    assert session.room(0.0) == Room(9, 100, any_size=True)
    session.offer(tokens("a"), 60, 0.0)
    assert session.room(0.0) == Room(8, 40, any_size=False)


def test_without_byte_credit_nothing_follows_a_lease_that_is_held() -> None:
    """A spent byte credit stops offers, received or not: what is received is what fills the worker's memory."""
    session = granted(9, 100)
    sequence = session.offer(tokens("a"), 100, 0.0)
    assert session.room(0.0).items == 0
    session.receive(sequence)
    assert session.room(0.0).items == 0


def test_to_a_worker_that_holds_nothing_one_item_goes_out_whatever_its_size() -> None:
    """A large item would else wait for ever."""
    session = granted(9, 100)
    session.receive(session.offer(tokens("a"), 100, 0.0))
    session.end(tokens("a"))
    assert session.room(0.0) == Room(1, 0, any_size=True)


def test_leases_kept_over_a_reconnect_count_as_held() -> None:
    """They fill the worker's memory as those of this session do."""
    session = granted(9, 100)
    session.extend(tokens("kept"), 0.0)
    assert not session.room(0.0).any_size
    session.end(tokens("kept"))
    assert session.room(0.0).any_size


def test_a_lease_that_nothing_is_heard_of_is_not_held_for_ever() -> None:
    """Its heartbeats would have come; a worker may drop a lease without a word."""
    session = granted(9, 100)
    session.offer(tokens("a", "b"), 100, 0.0)
    session.extend(tokens("a"), 10.0)
    assert session.held(LEASE - 0.001) == 2
    assert session.held(LEASE) == 1
    assert session.held(LEASE + 9.999) == 1
    assert session.held(LEASE + 10.0) == 0


def test_the_one_item_rule_needs_an_item_credit() -> None:
    """Bytes never stand in for items."""
    session = granted(1, 100)
    session.receive(session.offer(tokens("a"), 100, 0.0))
    session.end(tokens("a"))
    assert session.room(0.0).items == 0


def test_a_receipt_confirms_every_offer_up_to_its_number_once() -> None:
    """A repeated receipt confirms nothing again."""
    session = granted(9)
    for name in "abc":
        session.offer(tokens(name), 1, 0.0)
    assert [token.item_id for token in session.receive(2)] == ["a", "b"]
    assert session.receive(2) == []
    assert [token.item_id for token in session.receive(3)] == ["c"]
    assert session.outstanding == 0


def test_a_late_receipt_still_names_its_lapsed_offer() -> None:
    """The store decides whether a lapsed offer still stands, so the receipt must reach it."""
    session = granted(9)
    session.offer(tokens("a"), 1, 0.0)
    session.tick(OFFER_LEASE)
    assert session.outstanding == 0
    assert [token.item_id for token in session.receive(1)] == ["a"]


def test_an_offer_lapses_with_its_lease_and_not_before() -> None:
    """An offer is outstanding until its offer lease is over."""
    session = granted(9)
    session.offer(tokens("a"), 1, 0.0)
    session.tick(OFFER_LEASE - 0.001)
    assert session.outstanding == 1


def test_three_missed_offers_stop_offers_until_a_ping_is_answered() -> None:
    """A worker that no longer listens is asked for a sign of life, and gets nothing before it gives one."""
    session = granted(99)
    now = miss(session, MISSED_OFFERS_LIMIT - 1, 0.0)
    assert session.room(0.0).items > 0
    session.offer(tokens("x"), 1, now)
    ping_id = session.tick(now + OFFER_LEASE)
    assert ping_id is not None
    assert session.room(0.0) == NO_ROOM
    session.answered(ping_id)
    assert session.room(0.0).items > 0


def test_an_answer_to_an_earlier_ping_does_not_count() -> None:
    """Only an answer to the ping that followed the missed offers shows that the worker listens again."""
    session = granted(99)
    earlier = session.tick(PING)
    assert earlier is not None
    miss(session, MISSED_OFFERS_LIMIT, PING)
    session.answered(earlier)
    assert session.room(0.0).items == 0


def test_an_answer_to_a_later_ping_counts() -> None:
    """If the answer to the first ping is lost, the next one does."""
    session = granted(99)
    now = miss(session, MISSED_OFFERS_LIMIT, 0.0)
    later = session.tick(now + PING)
    assert later is not None
    session.answered(later)
    assert session.room(0.0).items > 0


def test_a_receipt_between_missed_offers_starts_the_count_again() -> None:
    """Only offers missed in a row make a session deaf."""
    session = granted(99)
    now = miss(session, MISSED_OFFERS_LIMIT - 1, 0.0)
    session.receive(session.offer(tokens("y"), 1, now))
    miss(session, MISSED_OFFERS_LIMIT - 1, now)
    assert session.room(0.0).items > 0


def test_missed_offers_count_before_the_next_ping_is_due() -> None:
    """A session that is offered items often is found deaf as soon as three offers have lapsed, not at the next tick."""
    session = granted(99)
    for now in (0.0, 0.1, 0.2):
        session.offer(tokens("x"), 1, now)
    session.offer(tokens("y"), 1, OFFER_LEASE + 1)
    assert session.room(0.0) == NO_ROOM


def test_nothing_is_offered_to_a_worker_that_drains() -> None:
    """A drain outlives every later credit."""
    session = granted(9)
    session.drain()
    session.grant(99, 0)
    assert session.draining
    assert session.room(0.0) == NO_ROOM


def test_a_quiet_worker_is_pinged_at_the_interval() -> None:
    """Each ping has a number of its own."""
    session = Session(TIMING, 0.0)
    assert session.tick(PING - 0.001) is None
    first, second = session.tick(PING), session.tick(2 * PING)
    assert first is not None
    assert second is not None
    assert first != second
    assert session.tick(2 * PING + 0.001) is None


def test_a_worker_that_says_something_is_not_pinged() -> None:
    """Whatever it says is a sign of life."""
    session = Session(TIMING, 0.0)
    for heard in range(1, 20):
        session.heard(heard * PING / 2)
        assert session.tick(heard * PING / 2 + PING - 0.001) is None


@given(st.floats(0.0, 10_000.0), st.sampled_from([0.1, 0.4, 1.0, 10.0, 300.0]))
def test_sessions_ping_at_whole_ticks(heard: float, interval: float) -> None:
    """Sessions that were heard at different times ping together, and none noticeably late."""
    session = Session(Timing(LEASE, OFFER_LEASE, interval, 1e9), heard)
    tick = min(PING_TICK, interval / 20)
    due = session.next_tick_at()
    assert -1e-3 * tick <= due - heard - interval <= tick
    assert due / tick == pytest.approx(round(due / tick), abs=1e-3)
    assert session.tick(due) is not None


def test_silence_ends_a_session() -> None:
    """Silence counts from the last frame."""
    session = Session(TIMING, 0.0)
    session.heard(10.0)
    assert not session.silent(10.0 + SILENCE - 0.001)
    assert session.silent(10.0 + SILENCE)


@pytest.mark.parametrize("heard", [0.0, 7.0])
def test_the_next_look_is_never_later_than_the_silence_limit(heard: float) -> None:
    """A silent worker is noticed at the limit, whatever the ping interval."""
    session = Session(Timing(LEASE, OFFER_LEASE, 100.0, SILENCE), 0.0)
    session.heard(heard)
    assert session.next_tick_at() == heard + SILENCE


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("grant"), st.integers(0, 20), st.integers(0, 200)),
        st.tuples(st.just("offer"), st.integers(1, 5), st.integers(1, 80)),
        st.tuples(st.just("receive"), st.integers(0, 20)),
        st.tuples(st.just("pass"), st.floats(0.1, 12.0)),
        st.tuples(st.just("answer"), st.integers(0, 20)),
    ),
    max_size=60,
)


@given(_steps)
def test_outstanding_offers_never_exceed_credits(steps: list[tuple[object, ...]]) -> None:
    """In any history what was offered stays within the totals that were granted (promise L9)."""
    session, now, offered, most_granted = Session(TIMING, 0.0), 0.0, 0, 0
    confirmed: list[LeaseToken] = []
    for step in steps:
        match step:
            case ("grant", int(items), int(size)):
                session.grant(items, size)
                most_granted = max(most_granted, items)
            case ("offer", int(wanted), int(size)):
                count = min(wanted, session.room(now).items)
                if count > 0:
                    session.offer(tokens(*(f"i{offered + index}" for index in range(count))), size, now)
                    offered += count
            case ("receive", int(sequence)):
                confirmed.extend(session.receive(sequence))
            case ("pass", float(seconds)):
                now += seconds
                session.tick(now)
            case ("answer", int(ping_id)):
                session.answered(ping_id)
            case _:
                pytest.fail(f"unknown step {step}")
        assert session.outstanding <= offered <= most_granted
        assert session.room(now).items >= 0
    assert len(set(confirmed)) == len(confirmed), "a receipt confirms each lease once"


def test_a_topic_with_a_total_of_its_own_has_no_more_room_than_that() -> None:
    """Others share what is left of all; a total that was named stays, and only rises."""
    session = Session(TIMING, 0.0)
    session.grant(9, 0, [("narrow", 2)])
    assert (session.room_of("narrow", 0.0).items, session.room_of("wide", 0.0).items) == (2, 9)
    session.offer([LeaseToken("default", "narrow", "a/1/nonce")], 0, 0.0)
    assert (session.room_of("narrow", 0.0).items, session.room_of("wide", 0.0).items) == (1, 8)
    session.grant(9, 0, [("narrow", 1)])
    session.grant(9, 0)
    assert session.room_of("narrow", 0.0).items == 1
    session.grant(9, 0, [("narrow", 5)])
    assert session.room_of("narrow", 0.0).items == 4
