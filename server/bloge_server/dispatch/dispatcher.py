"""Decides which claims to make. No I/O, no clock: facts go in, claims to make come out.

Work is pulled from one ordered backlog for each topic, so fresh items never overtake waiting ones. A topic is *warm*
while it may have something to claim: a wake-up warms it, a claim that finds nothing more cools it. Claimers of a topic
take turns, and so do the topics of a claimer: none gets more at a time than an even part of the claimer's slots, so
that none starves another. An even part of what happens to be free would be as fair, but each claim costs a call, and
would bring a few items.

A decision looks only at what changed since the last one: topics that were woken, and claimers that may have new room.
Thousands of topics and claimers that have nothing to do with each other cost each other nothing.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_CLAIM_ITEMS = 500
MAX_CLAIM_BYTES = 2_500_000
"""Below the largest frame of 3 MiB, with room for what surrounds the descriptions."""

_WAVES, _LEAST_WAVE = 2, 16
"""A claim takes no more than half of a claimer's slots, if they are many. Else all of them would move together: while
the worker runs what it holds the server has nothing to do, and while the server claims the worker has nothing. In two
waves a backlog drains by a quarter faster; more waves of the same slots are no better, because the batches of each step
become small. With 2,000 slots the largest claim makes four waves of it, which is better still."""

NO_BYTE_LIMIT = 1 << 62
"""Room of a claimer that counts items only."""

Topic = tuple[str, str]
"""Namespace and worker topic."""


class Room(NamedTuple):
    """What a claimer can take now."""

    items: int
    max_bytes: int = NO_BYTE_LIMIT
    any_size: bool = True
    """Whether a first item may be larger than that: the claimer holds nothing, and else it would wait for ever."""


NO_ROOM = Room(0, 0, any_size=False)


class Claim(NamedTuple):
    """A claim to make now."""

    claimer_id: int
    topic: Topic
    max_items: int
    max_bytes: int
    any_size: bool = True


@dataclass(slots=True)
class _Claimer:
    topics: OrderedDict[Topic, None]
    """The topic that it had longest nothing of comes first."""
    room: Callable[[Topic], Room]
    slots: int
    in_flight_items: int = 0
    in_flight_bytes: int = 0
    in_flight_any_size: bool = False
    """A claim is in flight that may bring more bytes than it says: it is alone."""

    def free(self, topic: Topic) -> Room:
        """Return what is left of its room for a topic beside the claims in flight."""
        if self.in_flight_any_size:
            return NO_ROOM
        items, max_bytes, any_size = self.room(topic)
        return Room(
            items - self.in_flight_items,
            min(max_bytes - self.in_flight_bytes, MAX_CLAIM_BYTES),
            any_size and not self.in_flight_items,
        )


@dataclass(slots=True)
class _Waiting:
    """A topic that somebody wants items of."""

    claimers: set[int] = field(default_factory=set)
    hungry: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """Claimers that may have room, next one first. Who is found without leaves the line until it has some again."""
    warm: bool = True
    in_flight: bool = False
    woken: bool = False
    """A wake-up came while a claim was in flight: what the claim says about more is out of date."""
    next_exceeds: int = 0
    """The item that is next is larger than so many bytes: who has no more room than that need not ask."""

    @property
    def is_open(self) -> bool:
        """Whether a claim may be made."""
        return self.warm and not self.in_flight


class Dispatcher:
    """The claims of one server."""

    def __init__(self) -> None:
        self._claimers: dict[int, _Claimer] = {}
        self._topics: dict[Topic, _Waiting] = {}
        self._next_id = 1
        # What changed since the last decision.
        self._changed_claimers: dict[int, None] = {}
        self._changed_topics: dict[Topic, None] = {}

    def add(self, topics: Iterable[Topic], room: Callable[[Topic], Room], slots: int = 0) -> int:
        """Add a claimer of some topics; return its id.

        Args:
            topics: what it wants items of.
            room: tells what of a topic it can take now when asked.
            slots: how many items it works on at once; 0: not known, its room counts for them.
        """
        claimer_id, self._next_id = self._next_id, self._next_id + 1
        claimer = self._claimers[claimer_id] = _Claimer(OrderedDict.fromkeys(topics), room, slots)
        for topic in claimer.topics:
            waiting = self._topics.setdefault(topic, _Waiting())
            waiting.claimers.add(claimer_id)
            self._warm(topic, waiting)
        self.roomy(claimer_id)
        return claimer_id

    def remove(self, claimer_id: int) -> None:
        """Forget a claimer. A claim of its that is in flight ends by itself."""
        claimer = self._claimers.pop(claimer_id, None)
        if claimer is None:
            return
        for topic in claimer.topics:
            waiting = self._topics[topic]
            waiting.claimers.discard(claimer_id)
            waiting.hungry.pop(claimer_id, None)
            if not waiting.claimers and not waiting.in_flight:
                del self._topics[topic]

    def roomy(self, claimer_id: int) -> None:
        """Note that a claimer may have new room."""
        claimer = self._claimers.get(claimer_id)
        if claimer is None:
            return
        for topic in claimer.topics:
            self._topics[topic].hungry.setdefault(claimer_id)
        self._changed_claimers[claimer_id] = None

    def wake(self, topic: Topic) -> None:
        """Note that a topic may have something to claim."""
        if waiting := self._topics.get(topic):
            self._warm(topic, waiting)

    def wake_all(self) -> None:
        """Note that every topic may have something to claim, because a wake-up may have been lost."""
        for topic, waiting in self._topics.items():
            self._warm(topic, waiting)

    def decide(self) -> list[Claim]:
        """Return the claims to make now; report each back with `claimed`."""
        claims: list[Claim] = []
        claimers, self._changed_claimers = self._changed_claimers, {}
        for claimer in [self._claimers[each] for each in claimers if each in self._claimers]:
            self._claim_from(list(claimer.topics), claims)
        topics, self._changed_topics = self._changed_topics, {}
        self._claim_from(topics, claims)
        return claims

    def claimed(self, claim: Claim, *, taken: int, more: bool) -> None:
        """Note the end of a claim.

        Args:
            claim: as it was decided.
            taken: how many items it brought.
            more: whether its topic may have more; with nothing taken, only for somebody with more room.
        """
        waiting = self._topics[claim.topic]
        waiting.in_flight = False
        if taken or waiting.woken:
            waiting.next_exceeds = 0
        elif more:
            waiting.next_exceeds = claim.max_bytes
        waiting.warm = more or waiting.woken
        waiting.woken = False
        self._changed_topics[claim.topic] = None
        if claimer := self._claimers.get(claim.claimer_id):
            claimer.in_flight_items -= claim.max_items
            claimer.in_flight_bytes -= claim.max_bytes
            claimer.in_flight_any_size = False
            self.roomy(claim.claimer_id)
        if not waiting.claimers:
            del self._topics[claim.topic]

    @property
    def topics(self) -> set[Topic]:
        """The topics that somebody wants items of."""
        return set(self._topics)

    def _warm(self, topic: Topic, waiting: _Waiting) -> None:
        waiting.warm = True
        waiting.woken = waiting.in_flight
        waiting.next_exceeds = 0
        self._changed_topics[topic] = None

    def _claim_from(self, topics: Iterable[Topic], claims: list[Claim]) -> None:
        for topic in topics:
            waiting = self._topics.get(topic)
            if waiting is not None and waiting.is_open and (claim := self._claim_for(topic, waiting)):
                claims.append(claim)

    def _claim_for(self, topic: Topic, waiting: _Waiting) -> Claim | None:
        """Return a claim for the next claimer in turn that has room."""
        for claimer_id in tuple(waiting.hungry):
            claimer = self._claimers[claimer_id]
            items, max_bytes, any_size = claimer.free(topic)
            if items <= 0:
                del waiting.hungry[claimer_id]
            elif any_size or max_bytes > waiting.next_exceeds:
                return self._claim(claimer_id, topic, Room(items, max(0, max_bytes), any_size))
        return None

    def _claim(self, claimer_id: int, topic: Topic, room: Room) -> Claim:
        claimer, waiting = self._claimers[claimer_id], self._topics[topic]
        claim = Claim(claimer_id, topic, self._share(claimer, room.items), room.max_bytes, room.any_size)
        claimer.in_flight_items += claim.max_items
        claimer.in_flight_bytes += claim.max_bytes
        # No item is larger than the largest claim.
        claimer.in_flight_any_size = claim.any_size and claim.max_bytes < MAX_CLAIM_BYTES
        # Whoever has had its turn is last in line: the claimer for the topic, and the topic for the claimer.
        waiting.hungry.move_to_end(claimer_id)
        claimer.topics.move_to_end(topic)
        waiting.in_flight = True
        return claim

    def _share(self, claimer: _Claimer, items: int) -> int:
        """Return how much of a claimer's room one topic may take: an even part of its slots, or half of many."""
        warm = sum(1 for topic in claimer.topics if self._topics[topic].is_open)
        part = -(-(claimer.slots or items) // max(1, warm))
        wave = max(_LEAST_WAVE, -(-claimer.slots // _WAVES)) if claimer.slots else items
        return min(items, part, wave, MAX_CLAIM_ITEMS)
