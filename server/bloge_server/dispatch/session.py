"""The server's side of one `Work` session: credits, offers, receipts and signs of life. No I/O, no clock."""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from bloge_server.dispatch.dispatcher import NO_BYTE_LIMIT, NO_ROOM, Room
from bloge_server.domain.lease_token import LeaseToken

MISSED_OFFERS_LIMIT = 3
"""A session that lets so many offers lapse gets none until it answers a ping."""
PING_TICK = 0.5
"""Seconds. Sessions ping at whole ticks: those of a thousand sessions go out a few dozen at a time, which costs half of
what as many single wake-ups do."""
_TICKS_AN_INTERVAL = 20
_ROUNDING = 1e-6
_LAPSED_KEPT = 16


class Offer(NamedTuple):
    """A batch of leases on its way."""

    sequence: int
    tokens: tuple[LeaseToken, ...]
    lapses_at: float
    """When the offer lease ends, s on the caller's clock."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Intervals of a session, in seconds."""

    lease: float
    offer_lease: float
    ping_interval: float
    silence_limit: float


class Session:
    """Counts what was granted, offered and received.

    Args:
        timing: the intervals.
        now: the caller's monotonic clock, s; every later call passes it again.
    """

    def __init__(self, timing: Timing, now: float) -> None:
        self._timing = timing
        self._granted_items = self._granted_bytes = 0
        self._granted_of: dict[str, int] = {}
        """Topics that are limited by totals of their own."""
        self._offered_of: Counter[str] = Counter()
        self._offered_items = self._offered_bytes = 0
        self._outstanding: deque[Offer] = deque()
        self._lapsed: deque[Offer] = deque(maxlen=_LAPSED_KEPT)
        self._held: OrderedDict[LeaseToken, float] = OrderedDict()
        """Leases that are not known to be over, with when they will be if nothing more is heard of them."""
        self._sequence = 0
        self._missed = 0
        self._draining = False
        self._heard_at = now
        self._pinged_at = now
        self._ping_id = 0
        self._answer_awaited = 0

    def heard(self, now: float) -> None:
        """Note that a frame arrived."""
        self._heard_at = now

    def grant(self, items_total: int, bytes_total: int, topics: Iterable[tuple[str, int]] = ()) -> None:
        """Take a credit frame. Totals only rise, so a repeated or overtaken frame grants nothing.

        Args:
            items_total: of all topics.
            bytes_total: of all topics.
            topics: topics with totals of items of their own.
        """
        for worker_topic, total in topics:
            self._granted_of[worker_topic] = max(self._granted_of.get(worker_topic, 0), total)
        self._granted_items = max(self._granted_items, items_total)
        self._granted_bytes = max(self._granted_bytes, bytes_total)

    def room_of(self, worker_topic: str, now: float) -> Room:
        """Return what of one topic may be offered now."""
        room, granted = self.room(now), self._granted_of.get(worker_topic)
        if granted is None:
            return room
        return room._replace(items=min(room.items, granted - self._offered_of[worker_topic]))

    def room(self, now: float) -> Room:
        """Return what may be offered now, of topics without totals of their own."""
        if self._draining or self._answer_awaited or self._missed >= MISSED_OFFERS_LIMIT:
            return NO_ROOM
        items = self.credits
        if not self._granted_bytes:
            return Room(items, NO_BYTE_LIMIT)
        left = self._granted_bytes - self._offered_bytes
        # Else an item that is larger than all that the worker ever allows would wait for ever.
        any_size = self.held(now) == 0
        return Room(items if left > 0 else min(items, int(any_size)), max(0, left), any_size)

    def offer(self, tokens: Sequence[LeaseToken], size: int, now: float) -> int:
        """Note leases that are about to be sent; return their offer sequence."""
        self._let_lapse(now)
        self._sequence += 1
        self._offered_items += len(tokens)
        for token in tokens:
            self._offered_of[token.worker_topic] += 1
        self._offered_bytes += size
        self._outstanding.append(Offer(self._sequence, tuple(tokens), now + self._timing.offer_lease))
        self.extend(tokens, now)
        return self._sequence

    def extend(self, tokens: Iterable[LeaseToken], now: float) -> None:
        """Note that leases are held for their full length from now."""
        until = now + self._timing.lease
        for token in tokens:
            self._held[token] = until
            self._held.move_to_end(token)

    def end(self, tokens: Iterable[LeaseToken]) -> None:
        """Note that leases are over."""
        for token in tokens:
            self._held.pop(token, None)

    def held(self, now: float) -> int:
        """Return how many leases the worker holds, as far as this session knows."""
        while self._held and next(iter(self._held.values())) <= now:
            self._held.popitem(last=False)
        return len(self._held)

    def receive(self, sequence: int) -> list[LeaseToken]:
        """Take a receipt; return the tokens it confirms for the first time, those of lapsed offers included."""
        confirmed: list[LeaseToken] = []
        for offers in (self._lapsed, self._outstanding):
            while offers and offers[0].sequence <= sequence:
                confirmed.extend(offers.popleft().tokens)
        if confirmed:
            self._missed = 0
        return confirmed

    def drain(self) -> None:
        """Offer nothing more."""
        self._draining = True

    @property
    def credits(self) -> int:
        """Items that may still be offered, whatever else keeps them back."""
        return self._granted_items - self._offered_items

    @property
    def draining(self) -> bool:
        """Whether the worker is leaving."""
        return self._draining

    @property
    def outstanding(self) -> int:
        """Items offered and not yet received."""
        return sum(len(offer.tokens) for offer in self._outstanding)

    def answered(self, ping_id: int) -> bool:
        """Take the answer to one of our pings; return whether it shows that a deaf worker listens again."""
        if not self._answer_awaited or ping_id < self._answer_awaited:
            return False
        self._answer_awaited = self._missed = 0
        return True

    def tick(self, now: float) -> int | None:
        """Note the time; return the id of a ping to send now, or None."""
        self._let_lapse(now)
        deaf = self._missed >= MISSED_OFFERS_LIMIT and not self._answer_awaited
        if not deaf and now < self._next_ping_at:
            return None
        self._pinged_at = now
        self._ping_id += 1
        if deaf:
            self._answer_awaited = self._ping_id
        return self._ping_id

    def next_tick_at(self) -> float:
        """Return when to call `tick` and `silent` again."""
        return min(self._next_ping_at, self._heard_at + self._timing.silence_limit)

    @property
    def _next_ping_at(self) -> float:
        # Who owes an answer is asked again, whatever else it says.
        since = self._pinged_at if self._answer_awaited else max(self._pinged_at, self._heard_at)
        interval = self._timing.ping_interval
        tick = min(PING_TICK, interval / _TICKS_AN_INTERVAL)
        return ceil((since + interval) / tick - _ROUNDING) * tick

    def silent(self, now: float) -> bool:
        """Return whether the worker has been silent for too long."""
        return now - self._heard_at >= self._timing.silence_limit

    def _let_lapse(self, now: float) -> None:
        while self._outstanding and self._outstanding[0].lapses_at <= now:
            self._lapsed.append(self._outstanding.popleft())
            self._missed += 1
