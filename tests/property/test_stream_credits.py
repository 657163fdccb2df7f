"""Random histories of both ends of a stream: the server's session and dispatcher with the worker's core (promise L9).

Nothing is written to a socket: frames wait on their way until the history lets them arrive, some of them twice.
"""

import asyncio
from collections import deque
from typing import cast

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from unit.worker_sdk.core_driver import CoreDriver

from bloge.remote_workers.v1 import work_item_pb2
from bloge.remote_workers.v1 import work_stream_pb2 as pb
from bloge_server.dispatch.dispatcher import Claim, Dispatcher, Topic
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Receipt, Verdict
from bloge_server.domain.work_item import Lease
from bloge_server.rpc.work_stream import StreamSettings, WorkStream
from bloge_server.store.redis_store import RedisStore
from bloge_worker._effects import Effects
from bloge_worker._leases import HeldLease

SLOTS = 4
_SIZES = st.one_of(st.integers(0, 10), st.integers(0, 150))
TOPICS: list[Topic] = [("default", "topic"), ("default", "other")]
SETTINGS = StreamSettings(
    lease_ms=3_600_000,
    offer_lease_ms=60_000,
    ping_ms=100_000,
    silence_ms=1_000_000,
    max_payload_bytes=1000,
    server_version="test",
)


class Yes:
    """A store that accepts every report."""

    async def complete(self, _namespace: str, _topic: str, reports: list[object]) -> list[Verdict]:
        """Accept outputs."""
        return [Verdict(None, "DONE") for _ in reports]

    fail = release = complete

    async def heartbeat(self, _namespace: str, _topic: str, reports: list[object]) -> list[Verdict]:
        """Extend leases."""
        return [Verdict(None, "CLAIMED", lease_ms=SETTINGS.lease_ms) for _ in reports]

    async def receive(self, _namespace: str, _topic: str, receipts: list[Receipt]) -> list[Verdict]:
        """Confirm offers."""
        return [Verdict(None, "CLAIMED") for _ in receipts]


class StreamHistory(RuleBasedStateMachine):
    """One worker, its sessions one after the other, and two topics."""

    def __init__(self) -> None:
        super().__init__()
        self.server_loop = asyncio.Runner()
        self.dispatcher = Dispatcher()
        self.backlog: dict[Topic, deque[Lease]] = {topic: deque() for topic in TOPICS}
        self.offered: dict[Topic, list[str]] = {topic: [] for topic in TOPICS}
        self.claims: list[Claim] = []
        self.to_server: deque[pb.WorkRequest] = deque()
        self.running: list[HeldLease] = []
        self.number = 0

    @initialize(max_bytes=st.sampled_from([100, 10_000_000]))
    def begin(self, max_bytes: int) -> None:
        """Open the first session of a worker that counts bytes closely, or hardly."""
        self.max_bytes = max_bytes
        self.worker = CoreDriver(slots=SLOTS, max_held_bytes=max_bytes)
        self.open_session()

    def teardown(self) -> None:
        """End what the server left to do."""
        self.server_loop.close()

    # The world between the two ends.

    def absorb(self, effects: Effects) -> None:
        """Put the worker's frames on their way, and start its handlers."""
        self.to_server.extend(frame for number, frame in effects.frames if number == self.worker.number)
        self.running.extend(effects.starts)

    def open_session(self) -> None:
        """Say hello and be welcomed."""
        worker = self.worker
        while not worker.turn().opens:
            worker.now = max(worker.now, worker.core.wakeup())
        ((_, opening),) = worker.effects.frames
        hello = opening.hello
        hello.worker_topics[:] = [topic for _, topic in TOPICS]
        self.stream = WorkStream(cast("RedisStore", Yes()), SETTINGS, hello, "default", lambda: self.worker.now)
        self.to_server.clear()
        self.seen_offered = self.seen_granted = 0
        self.server_loop.run(self.stream.welcome(hello, "session"))
        self.claimer_id = self.dispatcher.add(self.stream.topics, self.stream.room, self.stream.slots)
        self.to_worker(repeated=False)

    def to_worker(self, *, repeated: bool) -> None:
        """Let the next of the server's frames arrive."""
        queue = self.stream.frames
        frame = (queue._urgent or queue._offers).popleft()
        for _ in range(1 + repeated):
            self.worker.core.receive(self.worker.number, frame, self.worker.now)
            self.absorb(self.worker.turn())
        if frame.HasField("offers"):
            self.seen_offered += len(frame.offers.leases)

    def in_flight(self) -> list[pb.Offers]:
        """Return the offers on their way."""
        return [frame.offers for frame in self.stream.frames._offers]

    # What happens.

    @rule(topic=st.sampled_from(TOPICS), sizes=st.lists(_SIZES, min_size=1, max_size=2 * SLOTS))
    def enqueue(self, topic: Topic, sizes: list[int]) -> None:
        """A topic gets items."""
        for size in sizes:
            self.number += 1
            item_id = f"i{self.number}"
            spec = work_item_pb2.WorkItemSpec(worker_topic=topic[1], item_id=item_id).SerializeToString()
            token = LeaseToken(*topic, f"{item_id}/{self.number}/nonce")
            lease = Lease(token, spec, b"x" * size, 1, 1, self.number, 60_000, -1, -1, b"", item_id)
            self.backlog[topic].append(lease)
        self.dispatcher.wake(topic)
        self.claims += self.dispatcher.decide()

    @precondition(lambda self: self.claims)
    @rule(index=st.integers(0, 9))
    def claim_ends(self, index: int) -> None:
        """A claim brings what fits, in order; for a session that is over it goes back."""
        claim = self.claims.pop(index % len(self.claims))
        backlog, size = self.backlog[claim.topic], 0
        taken: list[Lease] = []
        while backlog and len(taken) < claim.max_items:
            size += len(backlog[0].payload) + len(backlog[0].spec)
            if size > claim.max_bytes and not (claim.any_size and not taken):
                break
            taken.append(backlog.popleft())
        if claim.claimer_id != self.claimer_id:
            backlog.extendleft(reversed(taken))
            taken.clear()
        if taken:
            self.stream.deliver(claim.topic, taken)
            self.offered[claim.topic] += [lease.item_id for lease in taken]
        self.dispatcher.claimed(claim, taken=len(taken), more=bool(backlog))
        self.claims += self.dispatcher.decide()

    @precondition(lambda self: self.stream.frames._urgent or self.stream.frames._offers)
    @rule(repeated=st.booleans())
    def frame_reaches_worker(self, *, repeated: bool) -> None:
        """A frame of the server arrives, once or twice."""
        self.to_worker(repeated=repeated)

    @precondition(lambda self: self.to_server)
    @rule(repeated=st.booleans())
    def frame_reaches_server(self, *, repeated: bool) -> None:
        """A frame of the worker arrives, once or twice."""
        frame = self.to_server.popleft()
        self.seen_granted = max(self.seen_granted, frame.credits.items_total)
        for _ in range(1 + repeated):
            self.server_loop.run(self.stream._take(frame))
            self.dispatcher.roomy(self.claimer_id)
            self.claims += self.dispatcher.decide()

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0, 9))
    def handler_ends(self, index: int) -> None:
        """A handler returns."""
        held = self.running.pop(index % len(self.running))
        self.absorb(self.worker.complete(held))

    @precondition(lambda self: not self.in_flight())
    @rule()
    def stream_breaks(self) -> None:
        """The connection is lost with no offer on its way, and the worker comes back."""
        self.dispatcher.remove(self.claimer_id)
        self.worker.break_stream()
        self.open_session()

    @rule()
    def everything_comes_to_rest(self) -> None:
        """Frames arrive, claims and handlers end, until there is nothing left to do."""
        while True:
            if self.claims:
                self.claim_ends(0)
            elif self.stream.frames._urgent or self.stream.frames._offers:
                self.to_worker(repeated=False)
            elif self.to_server:
                self.frame_reaches_server(repeated=False)
            elif self.running:
                self.handler_ends(0)
            else:
                break
            self.offers_stay_within_the_grants()
            self.the_worker_never_holds_more_than_its_slots()
            self.the_worker_never_holds_more_than_its_bytes()
        assert not any(self.backlog.values()), "no item waits for ever"
        assert self.worker.core._active is not None
        window, session = self.worker.core._active.credits, self.stream.session
        counted = (session._offered_items, session._offered_bytes)
        assert counted == (window._items_offered, window._bytes_offered), "both ends count the same"

    # What always holds.

    @invariant()
    def offers_stay_within_the_grants(self) -> None:
        """The server has never offered more than the worker had allowed."""
        on_their_way = sum(len(offers.leases) for offers in self.in_flight())
        assert self.seen_offered + on_their_way <= self.seen_granted
        assert self.stream.session.credits == self.seen_granted - self.seen_offered - on_their_way

    @invariant()
    def the_worker_never_holds_more_than_its_slots(self) -> None:
        """Nor ever will, whatever is on its way."""
        on_their_way = sum(len(offers.leases) for offers in self.in_flight())
        assert len(self.running) + on_their_way <= SLOTS

    @invariant()
    def the_worker_never_holds_more_than_its_bytes(self) -> None:
        """Except for one item that alone is larger than all it allows."""
        sizes = [held.payload_bytes for held in self.running]
        sizes += [len(lease.spec.payload) for offers in self.in_flight() for lease in offers.leases]
        assert sum(sizes) <= self.max_bytes or len(sizes) == 1

    @invariant()
    def nothing_overtakes(self) -> None:
        """Items of a topic are offered in the order in which they were enqueued."""
        for offered in self.offered.values():
            numbers = [int(item_id[1:]) for item_id in offered]
            assert numbers == sorted(numbers)


TestStreamHistory = StreamHistory.TestCase
TestStreamHistory.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
