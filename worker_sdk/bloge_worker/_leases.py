"""The leases a worker holds, and the clock that says until when it may trust them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from random import Random

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge_worker._durations import seconds_of

MARGIN = 3.0
"""A handler is stopped this long before its lease ends by the worker's clock, or a third of the lease if that is less:
the store may have begun to count earlier, and a handler needs a moment to stop."""

SHORTEST_INTERVAL = 0.2
"""Heartbeats of one lease are never closer, however little of the attempt is left."""

JITTER = 0.2
"""Share of the heartbeat interval by which heartbeats may come early, so that workers do not beat in step."""

ATTEMPT_TIMEOUT = "ATTEMPT_TIMEOUT"
"""Why a handler is stopped that has run as long as its item allows."""

DRAINING = "DRAINING"
"""Why a handler is stopped when the worker leaves."""

_AHEAD = 0.25
"""Share of the interval by which a heartbeat joins an earlier frame."""


@dataclass(slots=True, eq=False)
class HeldLease:
    """A lease whose handler runs, or waits for its turn. It occupies a slot until the handler has ended."""

    message: lease_pb2.Lease = field(repr=False)
    spec: work_item_pb2.WorkItemSpec = field(repr=False)
    """The message's, kept: each look at a part of a message makes a new object."""
    token: str = field(repr=False)
    key: tuple[str, str]
    """Topic and item id."""
    fence: int
    payload_bytes: int
    received_at: float
    sent_at: float
    """When the last confirmed claim, receipt or heartbeat was sent: from there the lease counts."""
    duration: float
    heartbeat_at: float
    attempt_ends_at: float = inf
    """When the attempt has lasted as long as the item allows, however often it is heartbeated."""
    deadline: float = inf
    """The suspend deadline: later, nobody waits for the outcome."""
    confirmed: bool = False
    """True once a verdict has confirmed the lease. A receipt is not confirmed, only refused."""
    lost: str | None = None
    """Why the lease is over, once it is."""
    cancel_asked: bool = False
    """True once the handler was asked to cancel its execution."""
    progress: bytes | None = None
    """Details that wait to be sent."""
    progress_sent: bytes | None = None
    """Details on their way; the next ones wait for the verdict."""
    run_context: work_item_pb2.TraceContext | None = field(default=None, repr=False)
    """The trace context below the span of its run, if there is one."""

    @property
    def stop_at(self) -> float:
        """When the handler must be stopped."""
        return min(self.sent_at + self.duration - self._margin, self.attempt_ends_at, self.deadline)

    def stop_reason(self, now: float) -> str:
        """Tell why the handler must be stopped now."""
        if now >= self.deadline:
            return Reason.DEADLINE_PASSED
        # Towards the end of an attempt each verdict grants just what is left of it.
        if self.sent_at + self.duration + self._margin >= self.attempt_ends_at:
            return ATTEMPT_TIMEOUT
        return Reason.LEASE_EXPIRED

    @property
    def _margin(self) -> float:
        return min(MARGIN, self.duration / 3)

    @property
    def is_kept(self) -> bool:
        """Tell whether to keep the lease alive: while it is not over, or its handler unwinds before it goes back."""
        return self.lost is None or self.lost == DRAINING

    def keep_progress(self) -> None:
        """Let progress that may not have arrived wait again, unless newer progress does."""
        if self.progress is None:
            self.progress = self.progress_sent
        self.progress_sent = None


class LeaseBook:
    """All held leases. Their sum is what the credits count.

    Args:
        random: gives the jitter.
    """

    def __init__(self, random: Random) -> None:
        self.heartbeat_interval = inf
        """What the server asks for; a lease that is shorter than three of them is beaten more often."""
        self.next_check = inf
        """When `check` has something to do at the earliest."""
        self.payload_bytes = 0
        self.by_topic: Counter[str] = Counter()
        """How many are held of each topic."""
        self._random = random
        self._by_token: dict[str, HeldLease] = {}
        self._newest: dict[tuple[str, str], HeldLease] = {}

    def __len__(self) -> int:
        return len(self._by_token)

    def __iter__(self) -> Iterator[HeldLease]:
        """Iterate over all held leases."""
        return iter(self._by_token.values())

    def __contains__(self, held: HeldLease) -> bool:
        """Tell whether the handler of a lease has not ended yet."""
        return self._by_token.get(held.token) is held

    @property
    def stopping(self) -> int:
        """How many handlers were told to stop and have not ended. May be asked from any thread."""
        return sum(held.lost is not None for held in list(self._by_token.values()))

    def live(self) -> list[HeldLease]:
        """Return the leases that are not over."""
        return [held for held in self._by_token.values() if held.lost is None]

    def kept(self) -> list[HeldLease]:
        """Return the leases that are to be kept alive."""
        return [held for held in self._by_token.values() if held.is_kept]

    def newest(self, key: tuple[str, str]) -> HeldLease | None:
        """Return the latest claim of an item that is held."""
        return self._newest.get(key)

    def draw_jitter(self) -> float:
        """Return the share of the heartbeat interval after which to beat.

        One draw serves all leases of a frame: what is due together goes out together.
        """
        return self._random.uniform(1 - JITTER, 1.0)

    def describe(self, message: lease_pb2.Lease, now: float, default_duration: float, jitter: float) -> HeldLease:
        """Return a lease whose receipt is sent now. It is not held yet."""
        spec = message.spec
        duration = seconds_of(message.lease_duration) or default_duration
        return HeldLease(
            message=message,
            spec=spec,
            token=message.lease_token,
            key=(spec.worker_topic, spec.item_id),
            fence=message.fence,
            payload_bytes=len(spec.payload),
            received_at=now,
            sent_at=now,
            duration=duration,
            heartbeat_at=now + self._interval(duration, jitter),
            attempt_ends_at=now + seconds_of(message.attempt_timeout) if message.HasField("attempt_timeout") else inf,
            deadline=now + seconds_of(message.time_remaining) if message.HasField("time_remaining") else inf,
        )

    def hold(self, held: HeldLease) -> None:
        """Hold a lease."""
        self._by_token[held.token] = self._newest[held.key] = held
        self.payload_bytes += held.payload_bytes
        self.by_topic[held.key[0]] += 1
        if held.heartbeat_at < self.next_check or held.stop_at < self.next_check:
            self.next_check = min(held.heartbeat_at, held.stop_at)

    def remove(self, held: HeldLease) -> bool:
        """Free the slot of a lease; return False if it was free already."""
        if self._by_token.pop(held.token, None) is None:
            return False
        if self._newest.get(held.key) is held:
            del self._newest[held.key]
        self.payload_bytes -= held.payload_bytes
        self.by_topic[held.key[0]] -= 1
        return True

    def extend(self, held: HeldLease, sent_at: float, duration: float, jitter: float) -> None:
        """Count a lease anew from when the message was sent that the server has just accepted."""
        held.confirmed = True
        held.sent_at = max(held.sent_at, sent_at)
        held.duration = duration or held.duration
        held.heartbeat_at = sent_at + self._interval(held.duration, jitter)
        self.next_check = min(self.next_check, held.heartbeat_at, held.stop_at)

    def doubt_receipts(self, since: float, offer_duration: float) -> None:
        """Trust leases no longer than their offer where the stream ended before any sign that the receipt arrived.

        Args:
            since: receipts sent until then have arrived.
            offer_duration: how long an offer waits for its receipt.
        """
        for held in self._by_token.values():
            if not held.confirmed and held.sent_at > since:
                held.duration = min(held.duration, offer_duration)
                held.heartbeat_at = min(held.heartbeat_at, since)  # Whoever can ask first, asks.
                self.next_check = min(self.next_check, held.heartbeat_at, held.stop_at)

    def check(self, now: float) -> tuple[list[HeldLease], list[HeldLease]]:
        """Return the leases to heartbeat and the leases whose handlers must be stopped, and plan the next check."""
        beats: list[HeldLease] = []
        expired: list[HeldLease] = []
        self.next_check = inf
        jitter = self.draw_jitter()
        for held in self.kept():
            if now >= held.stop_at:
                expired.append(held)
                continue
            if now >= held.heartbeat_at - self._nominal(held.duration) * _AHEAD:
                beats.append(held)
                held.heartbeat_at = now + self._interval(held.duration, jitter)
            self.next_check = min(self.next_check, held.heartbeat_at, held.stop_at)
        return beats, expired

    def _nominal(self, duration: float) -> float:
        return min(self.heartbeat_interval, duration / 3)

    def _interval(self, duration: float, jitter: float) -> float:
        return max(SHORTEST_INTERVAL, self._nominal(duration) * jitter)


def lone_lease(message: lease_pb2.Lease, now: float) -> HeldLease:
    """Return a lease outside any book, for a run that nobody keeps alive from here."""
    return LeaseBook(Random(0)).describe(message, now, 0.0, 1.0)
