"""One session as the worker sees it: a sans-I/O core that is told the time and what arrived, and says what to send."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker._credits import CreditWindow
from bloge_worker._durations import duration_of, seconds_of
from bloge_worker._leases import HeldLease
from bloge_worker._reports import MAX_FRAME_BYTES, MAX_FRAME_REPORTS
from bloge_worker._version import SDK
from bloge_worker.config import WorkerConfig

WELCOME_TIMEOUT = 15.0
"""Seconds that a server has to answer `Hello`."""

LEAVE_TIMEOUT = 5.0
"""Seconds that a replaced session has to end by itself."""

CONFIRM_AFTER = 0.5
"""Seconds after a receipt at which the server is asked for a sign of life. A receipt has no answer of its own, and a
lease whose receipt may be lost cannot be trusted once the stream has broken. Servers tell their store of a receipt
within half of this, so a frame that comes sooner shows that the server has it, but not that its store does."""

PING_PATIENCE = 1.5
"""Ping intervals of silence after which the worker asks for a sign of life."""

LEAST_PATIENCE = 5.0
"""Seconds that an answer may take at least before the stream is given up: a server that is merely busy is none the
better for new sessions."""

_MOST_NAMED_LEASES = 10_000
_MOST_NAMED_BYTES = MAX_FRAME_BYTES - 64 * 1024

WORKER_DRAIN = "worker-drain"
"""The capability of a worker that understands `Draining.worker`."""


@dataclass(slots=True, eq=False)
class Session:
    """The state of one `Work` stream."""

    number: int
    """Counts the sessions of this worker, for the shell that owns the streams."""
    opened_at: float
    """When `Hello` was sent: leases that the server keeps count from here."""
    credits: CreditWindow
    named: list[HeldLease]
    """The leases named in `Hello`, in order."""
    last_heard: float
    silence_limit: float = WELCOME_TIMEOUT
    ping_interval: float = inf
    offer_duration: float = 0.0
    max_reports: int = MAX_FRAME_REPORTS
    max_payload_bytes: int = 0
    lease_duration: float = 0.0
    welcomed_at: float | None = None
    leaving: bool = False
    """True once the server has said that it goes: the next session is to be opened elsewhere."""
    asked_at: float = inf
    """When the first question was sent that nothing was heard since."""
    close_at: float = inf
    """Set once another session has replaced this one: when to stop waiting for its end."""
    _pinged_at: float = -inf
    _confirm_at: float = inf
    """When to ask whether a receipt has arrived."""
    _last_ping_id: int = 0
    _sequence: int = 0
    _receipt_due: bool = False
    _pings: list[work_stream_pb2.Ping] = field(default_factory=list)

    def hello(self, config: WorkerConfig, worker_topics: list[str]) -> work_stream_pb2.WorkRequest:
        """Return the first frame."""
        hello = work_stream_pb2.Hello(
            namespace=config.namespace,
            worker_id=config.worker_id,
            worker_topics=worker_topics,
            slots=config.slots,
            sdk=SDK,
            held_lease_tokens=[held.token for held in self.named],
            capabilities=[WORKER_DRAIN],
        )
        if config.lease_duration is not None:
            hello.lease_duration.CopyFrom(duration_of(config.lease_duration))
        return work_stream_pb2.WorkRequest(hello=hello)

    def welcome(self, welcome: work_stream_pb2.Welcome, now: float) -> None:
        """Take over what the server has decided."""
        self.welcomed_at = now
        self.silence_limit = seconds_of(welcome.silence_limit) or WELCOME_TIMEOUT
        self.ping_interval = seconds_of(welcome.ping_interval) or self.silence_limit / 3
        self.offer_duration = seconds_of(welcome.offer_lease_duration)
        self.lease_duration = seconds_of(welcome.lease_duration)
        self.max_reports = min(welcome.max_batch_size or MAX_FRAME_REPORTS, MAX_FRAME_REPORTS)
        self.max_payload_bytes = welcome.max_payload_bytes

    def heard(self, now: float) -> None:
        """Note that a frame came."""
        self.last_heard = now
        self.asked_at = inf

    @property
    def receipts_arrived_until(self) -> float:
        """Receipts that were sent until then are known to have arrived."""
        return self.last_heard - CONFIRM_AFTER

    def asked(self, now: float) -> None:
        """Note that something was sent that the server answers."""
        self.asked_at = min(self.asked_at, now)

    @property
    def _patience(self) -> float:
        """How long an answer may take: a stream that is dead in secret must be replaced while its leases last."""
        return min(self.silence_limit, max(LEAST_PATIENCE, self.lease_duration / 3))

    def take_offer(self, sequence: int, now: float) -> bool:
        """Note an `Offers` frame and owe its receipt; return False if it is a repetition.

        Raises:
            OfferGap: frames before it are missing, so that no receipt can tell the truth any more.
        """
        self._receipt_due = True
        if sequence <= self._sequence:
            return False
        if sequence > self._sequence + 1:
            raise OfferGap(f"offers {self._sequence + 1} to {sequence - 1} are missing")
        self._sequence = sequence
        self._confirm_at = min(self._confirm_at, now + CONFIRM_AFTER)
        return True

    def take_ping(self, ping: work_stream_pb2.Ping) -> None:
        """Owe the answer, if the ping is a question."""
        if ping.ping_id:
            self._pings.append(work_stream_pb2.Ping(answer=ping.ping_id))

    def check(self, now: float) -> str | None:
        """Ping when it is time; return why the session is over, if it is."""
        if now >= self.close_at:
            return "the replaced session did not end by itself"
        if now - self.last_heard >= self.silence_limit:
            return f"nothing heard for {now - self.last_heard:.1f} s"
        if now - self.asked_at >= self._patience:
            return f"no answer for {now - self.asked_at:.1f} s"
        if now >= self._next_ping_at:
            self._last_ping_id += 1
            self.asked(now)
            self._pings.append(work_stream_pb2.Ping(ping_id=self._last_ping_id))
            self._pinged_at, self._confirm_at = now, inf
        return None

    @property
    def _next_ping_at(self) -> float:
        """When to ask for a sign of life: an idle server asks after one interval, so that as a rule only it does."""
        return min(self._confirm_at, max(self.last_heard, self._pinged_at) + PING_PATIENCE * self.ping_interval)

    def wakeup(self) -> float:
        """Return when `check` has something to do."""
        silence = min(self.last_heard + self.silence_limit, self.asked_at + self._patience)
        return min(self.close_at, silence, self._next_ping_at)

    def control_frames(self) -> Iterator[work_stream_pb2.WorkRequest]:
        """Yield what must not wait behind reports: receipt, answers, pings."""
        if self._receipt_due:
            self._receipt_due = False
            yield work_stream_pb2.WorkRequest(receipt=work_stream_pb2.Receipt(offer_sequence=self._sequence))
        for ping in self._pings:
            yield work_stream_pb2.WorkRequest(ping=ping)
        self._pings.clear()


def nameable(leases: Iterable[HeldLease]) -> list[HeldLease]:
    """Return as many leases as `Hello` can name. The next heartbeats ask for the others."""
    named: list[HeldLease] = []
    room = _MOST_NAMED_BYTES
    for held in leases:
        room -= len(held.token) + 4
        if room < 0 or len(named) == _MOST_NAMED_LEASES:
            break
        named.append(held)
    return named


class OfferGap(Exception):  # noqa: N818 - names what happened
    """The server skipped an offer sequence number."""
