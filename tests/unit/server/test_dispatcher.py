"""Which claims are made, for whom, and how many items."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloge_server.dispatch.dispatcher import (
    MAX_CLAIM_BYTES,
    MAX_CLAIM_ITEMS,
    NO_BYTE_LIMIT,
    Claim,
    Dispatcher,
    Room,
    Topic,
)

A, B, C = ("default", "a"), ("default", "b"), ("default", "c")


@dataclass
class Wish:
    """A claimer with room that the test changes."""

    items: int
    max_bytes: int = NO_BYTE_LIMIT
    any_size: bool = True
    asked: int = 0
    """How often it was asked for its room."""

    def room(self, topic: Topic) -> Room:
        """Return what it can take."""
        self.asked += 1
        return Room(self.items, self.max_bytes, self.any_size)


def test_a_claimer_with_room_gets_a_claim() -> None:
    """A new claimer's topics may have something, so they are claimed at once."""
    dispatcher = Dispatcher()
    claimer = dispatcher.add([A], Wish(3, 1000).room)
    assert dispatcher.decide() == [Claim(claimer, A, 3, 1000)]


def test_a_claimer_without_room_gets_nothing_until_it_has_some() -> None:
    """A claimer without room costs no claim, and is not asked again before it says that it has some."""
    dispatcher, wish = Dispatcher(), Wish(0)
    claimer = dispatcher.add([A], wish.room)
    assert dispatcher.decide() == []
    wish.items = 2
    assert dispatcher.decide() == []
    dispatcher.roomy(claimer)
    assert [claim.max_items for claim in dispatcher.decide()] == [2]


def test_one_claim_a_topic_at_a_time() -> None:
    """While a claim of a topic is in flight nobody else claims from it."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(1).room)
    dispatcher.add([A], Wish(1).room)
    assert len(dispatcher.decide()) == 1
    assert dispatcher.decide() == []


def test_a_topic_that_had_nothing_more_is_left_alone_until_it_is_woken() -> None:
    """A claim that found nothing more cools its topic; a wake-up warms it."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(1).room)
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=1, more=False)
    assert dispatcher.decide() == []
    dispatcher.wake(A)
    assert len(dispatcher.decide()) == 1


def test_a_wake_up_during_a_claim_outlives_the_claim() -> None:
    """What a claim says about more is out of date if a wake-up came while it was in flight."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(1).room)
    (claim,) = dispatcher.decide()
    dispatcher.wake(A)
    dispatcher.claimed(claim, taken=1, more=False)
    assert len(dispatcher.decide()) == 1


def test_a_wake_up_during_a_claim_counts_once() -> None:
    """A wake-up that was honoured does not keep its topic warm for ever."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(1).room)
    (claim,) = dispatcher.decide()
    dispatcher.wake(A)
    dispatcher.claimed(claim, taken=1, more=False)
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=1, more=False)
    assert dispatcher.decide() == []


def test_wake_all_warms_every_topic() -> None:
    """A possibly lost wake-up concerns every topic that somebody wants items of."""
    dispatcher = Dispatcher()
    dispatcher.add([A, B], Wish(10).room)
    for claim in dispatcher.decide():
        dispatcher.claimed(claim, taken=1, more=False)
    dispatcher.wake_all()
    assert {claim.topic for claim in dispatcher.decide()} == {A, B}


def test_a_wake_up_of_a_topic_nobody_wants_is_ignored() -> None:
    """Only wanted topics are remembered."""
    dispatcher = Dispatcher()
    dispatcher.wake(A)
    assert dispatcher.topics == set()


def test_claimers_of_a_topic_take_turns() -> None:
    """With a backlog, two claimers get the same number of claims, one after the other."""
    dispatcher = Dispatcher()
    first, second = dispatcher.add([A], Wish(1).room), dispatcher.add([A], Wish(1).room)
    assert [_one_claim(dispatcher).claimer_id for _ in range(6)] == [first, second] * 3


def test_a_claimer_without_room_does_not_block_those_behind_it() -> None:
    """Whoever is next in turn but full is passed over."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(0).room)
    second = dispatcher.add([A], Wish(1).room)
    assert [_one_claim(dispatcher).claimer_id for _ in range(3)] == [second] * 3


def test_room_is_split_between_warm_topics() -> None:
    """A claimer with several warm topics gives each an even part of its room."""
    dispatcher = Dispatcher()
    dispatcher.add([A, B, C], Wish(9).room)
    assert {claim.topic: claim.max_items for claim in dispatcher.decide()} == {A: 3, B: 3, C: 3}


@pytest.mark.parametrize(("slots", "taken"), [(200, [100, 100]), (20, [16, 4]), (8, [8]), (0, [200])])
def test_many_slots_are_filled_in_two_waves(slots: int, taken: list[int]) -> None:
    """So that the worker runs one while the server claims the other. A few slots are filled at once."""
    dispatcher, wish = Dispatcher(), Wish(slots or 200)
    dispatcher.add([A], wish.room, slots=slots)
    found = []
    while wish.items:
        (claim,) = dispatcher.decide()
        wish.items -= claim.max_items
        dispatcher.claimed(claim, taken=claim.max_items, more=True)
        found.append(claim.max_items)
    assert found == taken


def test_a_claim_of_few_items_is_not_split_further() -> None:
    """What becomes free of many slots goes to the topic that had longest nothing, up to its part."""
    dispatcher = Dispatcher()
    dispatcher.add([A, B, C], Wish(5).room, slots=12)
    assert {claim.topic: claim.max_items for claim in dispatcher.decide()} == {A: 4, B: 1}


def test_a_cold_topic_leaves_its_part_to_the_others() -> None:
    """Only topics that may have something share the room."""
    dispatcher, wish = Dispatcher(), Wish(0)
    dispatcher.add([A, B], wish.room)
    wish.items = 8
    for claim in dispatcher.decide():
        dispatcher.claimed(claim, taken=1, more=claim.topic == A)
    assert [(claim.topic, claim.max_items) for claim in dispatcher.decide()] == [(A, 8)]


def test_a_claimer_with_one_slot_serves_its_topics_in_turn() -> None:
    """With room for one item at a time and a backlog everywhere, no topic starves another."""
    dispatcher = Dispatcher()
    dispatcher.add([A, B, C], Wish(1).room)
    served = Counter(_one_claim(dispatcher).topic for _ in range(9))
    assert served == {A: 3, B: 3, C: 3}


def test_items_in_flight_take_room() -> None:
    """Room that a claim in flight may fill is not given to another topic until it is over."""
    dispatcher, wish = Dispatcher(), Wish(0)
    dispatcher.add([A, B], wish.room)
    wish.items = 1
    (first,) = dispatcher.decide()
    dispatcher.wake_all()
    assert dispatcher.decide() == []
    dispatcher.claimed(first, taken=1, more=False)
    assert [claim.max_items for claim in dispatcher.decide()] == [1]


def test_bytes_in_flight_take_room() -> None:
    """Two topics never use the same byte credit: the second waits for what the first one leaves of it."""
    dispatcher, wish = Dispatcher(), Wish(10, 1000)
    dispatcher.add([A, B], wish.room)
    (first,) = dispatcher.decide()
    assert first.max_bytes == 1000
    wish.max_bytes = 300
    dispatcher.claimed(first, taken=1, more=True)
    assert [claim.max_bytes for claim in dispatcher.decide()] == [300]


def test_only_the_first_claim_in_flight_may_bring_an_item_of_any_size() -> None:
    """Two large items at once would be more than the one that a claimer with nothing must take."""
    dispatcher, wish = Dispatcher(), Wish(10, 1000)
    dispatcher.add([A, B], wish.room)
    (first,) = dispatcher.decide()
    assert first.any_size
    wish.max_bytes, wish.any_size = 900, False
    dispatcher.claimed(first, taken=1, more=False)
    (second,) = dispatcher.decide()
    assert (second.topic, second.any_size) == (B, False)


def test_nothing_is_claimed_beside_what_may_be_of_any_size() -> None:
    """It may take more than its part, and new credit would be spent twice. A claim as large as any item never does."""
    dispatcher, wish = Dispatcher(), Wish(10, 1000)
    claimer = dispatcher.add([A, B], wish.room)
    (first,) = dispatcher.decide()
    wish.max_bytes = 1500
    dispatcher.roomy(claimer)
    assert dispatcher.decide() == []
    wish.max_bytes, wish.any_size = 0, False
    dispatcher.claimed(first, taken=1, more=False)
    assert dispatcher.decide() == []
    wish.max_bytes, wish.any_size = 3 * MAX_CLAIM_BYTES, True
    dispatcher.roomy(claimer)
    dispatcher.wake(A)
    assert [claim.max_bytes for claim in dispatcher.decide()] == [MAX_CLAIM_BYTES] * 2


def test_an_item_too_large_for_a_claimer_is_not_asked_for_again_until_it_has_more_room() -> None:
    """A claim that brought nothing although there is more would else be repeated for ever."""
    dispatcher, wish = Dispatcher(), Wish(10, 300, any_size=False)
    claimer = dispatcher.add([A], wish.room)
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=0, more=True)
    assert dispatcher.decide() == []
    wish.max_bytes = 400
    dispatcher.roomy(claimer)
    (claim,) = dispatcher.decide()
    assert claim.max_bytes == 400
    dispatcher.claimed(claim, taken=0, more=True)
    wish.any_size = True
    dispatcher.roomy(claimer)
    assert len(dispatcher.decide()) == 1


def test_an_item_too_large_for_one_claimer_goes_to_another() -> None:
    """The first in turn whose room is larger than what was not enough."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(10, 300, any_size=False).room)
    large = dispatcher.add([A], Wish(10, 5000, any_size=False).room)
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=0, more=True)
    (claim,) = dispatcher.decide()
    assert (claim.claimer_id, claim.max_bytes) == (large, 5000)


def test_a_wake_up_forgets_what_was_too_large() -> None:
    """An item of a higher priority may be next now."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(10, 300, any_size=False).room)
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=0, more=True)
    dispatcher.wake(A)
    assert len(dispatcher.decide()) == 1


def test_a_decision_looks_only_at_what_changed() -> None:
    """Thousands of claimers of other topics are not asked because of one wake-up."""
    dispatcher = Dispatcher()
    others = [Wish(1) for _ in range(1000)]
    for number, wish in enumerate(others):
        dispatcher.add([("default", f"t{number}")], wish.room)
    dispatcher.add([A], Wish(1).room)
    for claim in dispatcher.decide():
        dispatcher.claimed(claim, taken=0, more=False)
    dispatcher.decide()
    for wish in others:
        wish.asked = 0
    dispatcher.wake(A)
    assert [claim.topic for claim in dispatcher.decide()] == [A]
    assert sum(wish.asked for wish in others) == 0


def test_claims_for_somebody_without_byte_limit_do_not_wait_for_one_another() -> None:
    """Each claim is bounded by what a frame can carry, and they go side by side."""
    dispatcher = Dispatcher()
    dispatcher.add([A, B], Wish(10, NO_BYTE_LIMIT).room)
    assert [claim.max_bytes for claim in dispatcher.decide()] == [MAX_CLAIM_BYTES] * 2


def test_the_end_of_a_claim_returns_its_room() -> None:
    """A claim that brought nothing gives all of its room back."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(4).room)
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=1, more=True)
    assert [each.max_items for each in dispatcher.decide()] == [4]


def test_a_claim_is_bounded_whatever_the_room() -> None:
    """One claim never asks for more items or bytes than a frame can carry."""
    dispatcher = Dispatcher()
    dispatcher.add([A], Wish(100_000, 1 << 40).room)
    (claim,) = dispatcher.decide()
    assert (claim.max_items, claim.max_bytes) == (MAX_CLAIM_ITEMS, MAX_CLAIM_BYTES)


def test_a_removed_claimer_gets_nothing() -> None:
    """Whoever left is not claimed for, and those behind it are."""
    dispatcher = Dispatcher()
    first, second = dispatcher.add([A], Wish(1).room), dispatcher.add([A], Wish(1).room)
    dispatcher.remove(first)
    assert [_one_claim(dispatcher).claimer_id for _ in range(2)] == [second] * 2


def test_a_claimer_may_leave_during_its_claim() -> None:
    """The claim ends by itself, and its topic is forgotten only then."""
    dispatcher = Dispatcher()
    claimer = dispatcher.add([A], Wish(1).room)
    (claim,) = dispatcher.decide()
    dispatcher.remove(claimer)
    assert dispatcher.topics == {A}
    dispatcher.claimed(claim, taken=1, more=True)
    assert dispatcher.topics == set()
    assert dispatcher.decide() == []


def test_a_claim_of_somebody_who_left_goes_on_for_who_came_meanwhile() -> None:
    """A topic that is wanted again during the claim of somebody gone is claimed once that claim is over."""
    dispatcher = Dispatcher()
    claimer = dispatcher.add([A], Wish(1).room)
    (claim,) = dispatcher.decide()
    dispatcher.remove(claimer)
    second = dispatcher.add([A], Wish(1).room)
    assert dispatcher.decide() == []
    dispatcher.claimed(claim, taken=1, more=False)
    assert [each.claimer_id for each in dispatcher.decide()] == [second]


def test_removing_twice_is_harmless() -> None:
    """A claimer that is gone already may be removed again."""
    dispatcher = Dispatcher()
    claimer = dispatcher.add([A], Wish(1).room)
    dispatcher.remove(claimer)
    dispatcher.remove(claimer)
    assert dispatcher.topics == set()


@pytest.mark.parametrize("topics", [[A, A], [A, B, A]])
def test_a_topic_named_twice_is_one_topic_to_forget(topics: list[tuple[str, str]]) -> None:
    """Naming a topic twice leaves nothing behind."""
    dispatcher = Dispatcher()
    dispatcher.remove(dispatcher.add(topics, Wish(1).room))
    assert dispatcher.topics == set()


def _one_claim(dispatcher: Dispatcher) -> Claim:
    """Make exactly one claim from a backlog that never ends."""
    (claim,) = dispatcher.decide()
    dispatcher.claimed(claim, taken=1, more=True)
    return claim


@dataclass
class History:
    """A dispatcher with what a test knows of it."""

    dispatcher: Dispatcher = field(default_factory=Dispatcher)
    wishes: dict[int, Wish] = field(default_factory=dict)
    topics: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    in_flight: list[Claim] = field(default_factory=list)

    def flying(self, claimer_id: int) -> int:
        """Return the items in flight for a claimer."""
        return sum(claim.max_items for claim in self.in_flight if claim.claimer_id == claimer_id)

    def decide(self) -> None:
        """Decide, and check what was decided."""
        claims = self.dispatcher.decide()
        self.in_flight.extend(claims)
        assert len({claim.topic for claim in self.in_flight}) == len(self.in_flight), "one claim a topic at a time"
        for claim in claims:
            assert claim.topic in self.topics[claim.claimer_id]
            assert 0 < self.flying(claim.claimer_id) <= self.wishes[claim.claimer_id].items

    def finish(self, index: int, taken: int, *, more: bool) -> None:
        """End a claim that brought some items, which take room of their claimer's."""
        claim = self.in_flight.pop(index % len(self.in_flight))
        if wish := self.wishes.get(claim.claimer_id):
            wish.items -= min(taken, claim.max_items)
        self.dispatcher.claimed(claim, taken=taken, more=more)

    def remove(self, claimer_id: int) -> None:
        """Let a claimer leave."""
        self.dispatcher.remove(claimer_id)
        del self.wishes[claimer_id], self.topics[claimer_id]


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sets(st.sampled_from([A, B, C]), min_size=1), st.integers(0, 8)),
        st.tuples(st.just("grant"), st.integers(0, 5), st.integers(1, 5)),
        st.tuples(st.just("finish"), st.integers(0, 9), st.integers(0, 4), st.booleans()),
        st.tuples(st.just("wake"), st.sampled_from([A, B, C])),
        st.tuples(st.just("remove"), st.integers(0, 5)),
        st.tuples(st.just("decide")),
    ),
    max_size=40,
)


@given(_steps)
def test_never_more_in_flight_than_room_in_any_history(steps: list[tuple[object, ...]]) -> None:
    """Whatever happens in whatever order, no claimer is claimed more for than it can take."""
    history = History()
    for step in steps:
        ids = sorted(history.wishes)
        match step:
            case ("add", set(topics), int(items)):
                wish = Wish(items)
                claimer_id = history.dispatcher.add(sorted(topics), wish.room)
                history.wishes[claimer_id], history.topics[claimer_id] = wish, sorted(topics)
            case ("grant", int(which), int(more)) if ids:
                history.wishes[ids[which % len(ids)]].items += more
                history.dispatcher.roomy(ids[which % len(ids)])
            case ("finish", int(which), int(taken), bool(more)) if history.in_flight:
                history.finish(which, taken, more=more)
            case ("wake", tuple(topic)):
                history.dispatcher.wake((str(topic[0]), str(topic[1])))
            case ("remove", int(which)) if ids:
                history.remove(ids[which % len(ids)])
            case _:
                pass
        history.decide()
    _check_nothing_is_left_waiting(history)


def _check_nothing_is_left_waiting(history: History) -> None:
    """With every claim ended and every topic woken, whoever has room is claimed for."""
    while history.in_flight:
        history.finish(0, 0, more=False)
    for topic in (A, B, C):
        history.dispatcher.wake(topic)
    history.decide()
    busy = {claim.topic for claim in history.in_flight}
    for claimer_id, wish in history.wishes.items():
        if wish.items > history.flying(claimer_id):
            assert busy.issuperset(history.topics[claimer_id]), "no wake-up is lost"
