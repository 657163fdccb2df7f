"""Decides which claims to make. No I/O, no clock: facts go in, claims to make come out.

Work is pulled from one ordered backlog for each topic, so fresh items never overtake waiting ones. A topic is *warm*
while it may have something to claim: a wake-up warms it, a claim that finds nothing more cools it. Claimers of a topic
take turns; a claimer with several warm topics splits its room between them, so that none starves another.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_CLAIM_ITEMS = 500
MAX_CLAIM_BYTES = 2_500_000
"""Below the largest frame of 3 MiB, with room for what surrounds the descriptions."""

NO_BYTE_LIMIT = 1 << 62
"""Room of a claimer that counts items only."""

Topic = tuple[str, str]
"""Namespace and worker topic."""


class Room(NamedTuple):
    """What a claimer can take now."""

    items: int
    max_bytes: int


class Claim(NamedTuple):
    """A claim to make now."""

    claimer_id: int
    topic: Topic
    max_items: int
    max_bytes: int


@dataclass(slots=True)
class _Claimer:
    topics: list[Topic]
    room: Callable[[], Room]
    in_flight_items: int = 0
    in_flight_bytes: int = 0


@dataclass(slots=True)
class _Waiting:
    """A topic that somebody wants items of."""

    turns: deque[int] = field(default_factory=deque)
    """Claimers, next one first."""
    warm: bool = True
    in_flight: bool = False
    woken: bool = False
    """A wake-up came while a claim was in flight: what the claim says about more is out of date."""


class Dispatcher:
    """The claims of one server."""

    def __init__(self) -> None:
        self._claimers: dict[int, _Claimer] = {}
        self._topics: dict[Topic, _Waiting] = {}
        self._next_id = 1

    def add(self, topics: Iterable[Topic], room: Callable[[], Room]) -> int:
        """Add a claimer of some topics; `room` tells what it can take when asked. Return its id."""
        claimer_id, self._next_id = self._next_id, self._next_id + 1
        claimer = self._claimers[claimer_id] = _Claimer(list(topics), room)
        for topic in claimer.topics:
            waiting = self._topics.setdefault(topic, _Waiting())
            waiting.turns.append(claimer_id)
            self._warm(waiting)
        return claimer_id

    def remove(self, claimer_id: int) -> None:
        """Forget a claimer. A claim of its that is in flight ends by itself."""
        claimer = self._claimers.pop(claimer_id, None)
        if claimer is None:
            return
        for topic in claimer.topics:
            waiting = self._topics[topic]
            waiting.turns.remove(claimer_id)
            if not waiting.turns and not waiting.in_flight:
                del self._topics[topic]

    def wake(self, topic: Topic) -> None:
        """Note that a topic may have something to claim."""
        if waiting := self._topics.get(topic):
            self._warm(waiting)

    def wake_all(self) -> None:
        """Note that every topic may have something to claim, because a wake-up may have been lost."""
        for waiting in self._topics.values():
            self._warm(waiting)

    def decide(self) -> list[Claim]:
        """Return the claims to make now; report each back with `claimed`."""
        claims = [claim for topic, waiting in self._topics.items() if (claim := self._claim_for(topic, waiting))]
        for claim in claims:
            # Topics take turns too: else the first one would have every item of a claimer with a single slot.
            self._topics[claim.topic] = self._topics.pop(claim.topic)
        return claims

    def claimed(self, claim: Claim, *, more: bool) -> None:
        """Note the end of a claim: `more` tells whether its topic may have more."""
        if claimer := self._claimers.get(claim.claimer_id):
            claimer.in_flight_items -= claim.max_items
            claimer.in_flight_bytes -= claim.max_bytes
        waiting = self._topics[claim.topic]
        waiting.warm = more or waiting.woken
        waiting.in_flight = waiting.woken = False
        if not waiting.turns:
            del self._topics[claim.topic]

    @property
    def topics(self) -> set[Topic]:
        """The topics that somebody wants items of."""
        return set(self._topics)

    @staticmethod
    def _warm(waiting: _Waiting) -> None:
        waiting.warm = True
        waiting.woken = waiting.in_flight

    def _claim_for(self, topic: Topic, waiting: _Waiting) -> Claim | None:
        """Return a claim for the next claimer in turn that has room."""
        if not waiting.warm or waiting.in_flight:
            return None
        for _ in range(len(waiting.turns)):
            claimer_id = waiting.turns[0]
            waiting.turns.rotate(-1)
            claimer = self._claimers[claimer_id]
            items, max_bytes = claimer.room()
            items = self._share(claimer, items - claimer.in_flight_items)
            max_bytes = min(max_bytes - claimer.in_flight_bytes, MAX_CLAIM_BYTES)
            if items > 0 and (max_bytes > 0 or not claimer.in_flight_items):
                claimer.in_flight_items += items
                claimer.in_flight_bytes += max_bytes
                waiting.in_flight = True
                return Claim(claimer_id, topic, items, max_bytes)
        return None

    def _share(self, claimer: _Claimer, items: int) -> int:
        """Return how much of a claimer's room one topic may take: an even part, rounded up."""
        warm = sum(1 for topic in claimer.topics if self._topics[topic].warm and not self._topics[topic].in_flight)
        return min(-(-items // max(1, warm)), MAX_CLAIM_ITEMS)
