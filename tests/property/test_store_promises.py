"""Random histories on a real store: after each step the promises hold, whatever happened before.

The promises are those of the lease engine, by number: L1 one lease, L2 rising fences, L3 one outcome, L5 exactly one
index, L6 superseded reports change nothing, L7 budgets, L12 the same report gets the same answer.
"""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import INDEX_OF, TRANSITIONS, Event, Outcome, Status
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
from bloge_server.domain.work_item import ClaimOrder, NewItem, StoredItem
from bloge_server.store import connection, scripts
from bloge_server.store.redis_store import RedisStore
from support.releases import next_release

from . import model

LONG = bool(os.environ.get("LONG"))
TOPIC = "topic"
LEASE_MS = 1000
OFFER_MS = 200
RETRIES = 2
LOSSES = 2
IDS = ("a", "b", "c")
INDEXES = ("ready", "leases", "retry", "deadlines", "dead", "finished", "outbox:group")

_names = itertools.count()
_T = TypeVar("_T")


@dataclass
class Known:
    """What the test knows of one item from the answers it got."""

    tokens: list[LeaseToken] = field(default_factory=list)
    outcome: Outcome | None = None
    status: Status | None = None
    accepted: int = 0
    """Reports that were accepted as the outcome."""
    acknowledged: bool = False
    answers: dict[tuple[LeaseToken, str], Verdict] = field(default_factory=dict)


class Histories(RuleBasedStateMachine):
    """Walks the store through random steps."""

    store_url: str
    refusals: frozenset[str] = frozenset()
    """What a server may answer to whatever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.client = connection.connect(self.store_url)
        self.namespace = f"history-{next(_names)}"
        self.base = f"bloge:{{{self.namespace}/t/{TOPIC}}}:"
        self.now = 1_700_000_000_000
        self.roll = 0.0
        self.store = self.newest = self.server(scripts.load)
        self.known = {item_id: Known() for item_id in IDS}
        self.event: Event | None = None
        """What the last step wanted to happen; None for a step that only lets happen what is due."""

    def server(self, load: Callable[[str], scripts.Script]) -> RedisStore:
        """Return the store as a server with these scripts sees it."""
        return RedisStore(self.client, retention_ms=5000, clock=lambda: self.now, dice=lambda: self.roll, load=load)

    def do(self, call: Awaitable[_T]) -> _T:
        """Carry out a call to the end."""

        async def carried() -> _T:
            return await call

        return self.loop.run_until_complete(carried())

    def teardown(self) -> None:
        """Let go of the store."""
        self.do(self.client.aclose())
        self.loop.close()

    @initialize(
        on_dead=st.sampled_from(["KEEP_SUSPENDED", "RESUME_WITH_FAILURE"]),
        suspend=st.sampled_from([0, 1500, 20_000]),
        attempt=st.sampled_from([0, 2500]),
    )
    def enqueue(self, on_dead: str, suspend: int, attempt: int) -> None:
        """Enqueue the items that the history is about."""
        self.items = self.new_items(on_dead, suspend, attempt)
        self.do(self.store.enqueue(self.namespace, TOPIC, self.items))

    @staticmethod
    def new_items(on_dead: str, suspend: int, attempt: int) -> list[NewItem]:
        """Return the items that a history is about."""
        return [
            NewItem(
                item_id, "digest", b"", b"payload", max_retries=RETRIES, backoff="JITTER:50:0", max_lease_losses=LOSSES,
                suspend_timeout_ms=suspend, attempt_timeout_ms=attempt, on_dead_letter=on_dead, reply_group="group",
            )
            for item_id in IDS
        ]  # fmt: skip

    @rule(ms=st.sampled_from([1, 50, 199, 500, 1000, 5000]), roll=st.floats(0, 0.99))
    def pass_time(self, ms: int, roll: float) -> None:
        """Let time pass, and throw the dice anew."""
        self.event = None
        self.now += ms
        self.roll = roll

    @rule()
    def sweep(self) -> None:
        """Do what is due."""
        self.event = None
        self.do(self.store.sweep(self.namespace, TOPIC))

    @rule()
    def enqueue_again(self) -> None:
        """An enqueue that is repeated changes nothing while the items are kept."""
        self.event = None
        before = [self.read(item_id) for item_id in IDS]
        statuses = self.do(
            self.store.enqueue(self.namespace, TOPIC, [i for i, b in zip(self.items, before, strict=True) if b])
        )
        assert {each.status for each in statuses} <= {"EXISTS", *self.refusals}

    @rule(worker=st.sampled_from(["w1", "w2"]), many=st.integers(1, 3), offer=st.booleans())
    def claim(self, worker: str, many: int, *, offer: bool) -> None:
        """Claim items: each fence is larger than any before it (L2), each lease the only one (L1)."""
        self.event = Event.CLAIM
        order = ClaimOrder(worker, many, LEASE_MS, OFFER_MS if offer else 0)
        for lease in self.do(self.store.claim(self.namespace, TOPIC, order)).leases:
            known = self.known[lease.item_id]
            token = LeaseToken.parse(lease.token)
            assert token is not None
            assert all(lease.fence > int(earlier.fence) for earlier in known.tokens)
            assert known.outcome is None, "an item with an outcome was handed out"
            known.tokens.append(token)

    def pick(self, item_id: str, age: int) -> LeaseToken | None:
        """Return a token of an item: the last one, or one of the last few."""
        tokens = self.known[item_id].tokens
        return tokens[-1 - age % len(tokens)] if tokens else None

    @rule(item_id=st.sampled_from(IDS), age=st.integers(0, 2), output=st.sampled_from([b"1", b"2"]))
    def complete(self, item_id: str, age: int, output: bytes) -> None:
        """Report an output."""
        self.report(item_id, age, f"complete {output!r}", lambda token: self.store.complete(
            self.namespace, TOPIC, [Complete(token, "complete", output, output.decode())]
        ), Event.COMPLETE)  # fmt: skip

    @rule(item_id=st.sampled_from(IDS), age=st.integers(0, 2))
    def business_error(self, item_id: str, age: int) -> None:
        """Report a business error."""
        self.report(item_id, age, "business", lambda token: self.store.complete(
            self.namespace, TOPIC, [Complete(token, "business_error", b"E", "b")]
        ), Event.BUSINESS_ERROR)  # fmt: skip

    @rule(item_id=st.sampled_from(IDS), age=st.integers(0, 2), fatal=st.booleans())
    def fail(self, item_id: str, age: int, *, fatal: bool) -> None:
        """Report a failure."""
        self.report(item_id, age, f"fail {fatal}", lambda token: self.store.fail(
            self.namespace, TOPIC, [Fail(token, "Boom", '{"type":"Boom"}', fatal, -1, str(fatal))]
        ), Event.FAIL)  # fmt: skip

    @rule(item_id=st.sampled_from(IDS), age=st.integers(0, 2), delay=st.sampled_from([0, 100]))
    def release(self, item_id: str, age: int, delay: int) -> None:
        """Hand an item back."""
        self.report(item_id, age, f"release {delay}", lambda token: self.store.release(
            self.namespace, TOPIC, [Release(token, delay, '""', draining=False, digest=str(delay))]
        ), Event.RELEASE)  # fmt: skip

    @rule(item_id=st.sampled_from(IDS), age=st.integers(0, 2), progress=st.sampled_from([None, b"half"]))
    def heartbeat(self, item_id: str, age: int, progress: bytes | None) -> None:
        """Extend a lease."""
        self.event = Event.HEARTBEAT
        if token := self.pick(item_id, age):
            before = self.read(item_id)
            (verdict,) = self.do(self.store.heartbeat(self.namespace, TOPIC, [Heartbeat(token, 0, progress)]))
            if verdict.accepted:
                assert before is not None
                assert int(token.fence) == before.state.fence, "an earlier claim took the item back"
                assert verdict.status == Status.CLAIMED

    @rule(item_id=st.sampled_from(IDS), age=st.integers(0, 2))
    def receive(self, item_id: str, age: int) -> None:
        """Confirm an offer."""
        self.event = Event.RECEIPT
        if token := self.pick(item_id, age):
            self.do(self.store.receive(self.namespace, TOPIC, [token]))

    @rule(item_id=st.sampled_from(IDS))
    def cancel(self, item_id: str) -> None:
        """Cancel an item."""
        self.event = Event.CANCEL
        self.do(self.store.cancel(self.namespace, TOPIC, [item_id], "why"))

    @rule(item_id=st.sampled_from(IDS), delay=st.sampled_from([0, 100]))
    def replay(self, item_id: str, delay: int) -> None:
        """Replay a dead letter: its fence rises, so every earlier token is superseded."""
        self.event = Event.REPLAY
        before = self.read(item_id)
        (acted,) = self.do(self.store.replay(self.namespace, TOPIC, [(item_id, delay)]))
        after = self.read(item_id)
        if acted.answer == "REPLAYED":
            assert before is not None
            assert after is not None
            assert after.state.fence > before.state.fence
            assert (after.state.retry_count, after.state.lease_loss_count) == (0, 0)

    @rule(item_id=st.sampled_from(IDS))
    def discard(self, item_id: str) -> None:
        """Drop a dead letter."""
        self.event = Event.DISCARD
        self.do(self.store.discard(self.namespace, TOPIC, [item_id]))

    @rule(item_id=st.sampled_from(IDS), age=st.integers(1, 3))
    def adopt(self, item_id: str, age: int) -> None:
        """Take a late output of a dead letter as its outcome."""
        self.event = Event.ADOPT
        if token := self.pick(item_id, age):
            self.do(self.store.adopt(self.namespace, TOPIC, item_id, int(token.fence)))

    @rule(item_id=st.sampled_from(IDS))
    def acknowledge(self, item_id: str) -> None:
        """Record an outcome."""
        self.event = None
        if self.do(self.store.acknowledge(self.namespace, TOPIC, [item_id])):
            self.known[item_id].acknowledged = True

    def report(
        self,
        item_id: str,
        age: int,
        name: str,
        send: Callable[[LeaseToken], Awaitable[list[Verdict]]],
        event: Event,
    ) -> None:
        """Send a report and hold the answer against the promises."""
        self.event = event
        if (token := self.pick(item_id, age)) is None:
            return
        known, before = self.known[item_id], self.read(item_id)
        (verdict,) = self.do(send(token))
        if verdict.reason is Reason.NOT_FOUND:
            assert before is None
            return
        if verdict.reason is not None and verdict.reason in self.refusals:
            assert self.read(item_id) == before, "a refused report changed something"
            return
        assert verdict.reason is not Reason.INVALID_TOKEN, "a token that was handed out is known"
        repeated = known.answers.get((token, name))
        if repeated is not None and repeated.reason is not Reason.CONFLICTING_REPORT:
            assert verdict == repeated, "the same report got another answer (L12)"
            return
        known.answers[token, name] = verdict
        self.judge_first_answer(token, verdict, before, self.read(item_id), event)

    def judge_first_answer(
        self, token: LeaseToken, verdict: Verdict, before: StoredItem | None, after: StoredItem | None, event: Event
    ) -> None:
        """An accepted report is of the last claim and moves the item as the table says; others move nothing (L6)."""
        assert before is not None
        assert after is not None
        if verdict.accepted and event in {Event.COMPLETE, Event.BUSINESS_ERROR}:
            assert int(token.fence) == before.state.fence, "a superseded report was accepted (L6)"
            assert after.state.status is Status.DONE
            allowed = {status for (_, e), targets in TRANSITIONS.items() if e is event for status in targets}
            assert after.state.status in allowed
        elif int(token.fence) != before.state.fence:
            assert after.state.status == before.state.status or self.settled(before)
            assert after.fields.get("output") == before.fields.get("output")

    def settled(self, before: StoredItem) -> bool:
        """Return whether something was due, so that the item may have moved by itself."""
        instants = (before.policy.suspend_deadline_ms, before.lease_deadline_ms)
        return any(at is not None and at <= self.now for at in instants)

    def read(self, item_id: str) -> StoredItem | None:
        """Return an item as it stands."""
        (stored,) = self.do(self.newest.get(self.namespace, TOPIC, [item_id]))
        return stored

    def indexes(self, item_id: str) -> set[str]:
        """Return the indexes in which an item stands."""
        scores = self.do(self.client.send(self.base, *(("ZSCORE", self.base + name, item_id) for name in INDEXES)))
        return {name for name, score in zip(INDEXES, scores, strict=True) if score is not None}

    @invariant()
    def promises_hold(self) -> None:
        """L3, L5 and L7 for every item, after every step."""
        for item_id, known in self.known.items():
            stored, indexes = self.read(item_id), self.indexes(item_id)
            if stored is None:
                assert not indexes
                assert known.acknowledged or not known.tokens, "an item whose outcome nobody recorded is gone"
                continue
            self.check_step(known, stored)
            assert indexes == expected_indexes(stored, acknowledged=known.acknowledged)
            assert stored.state.retry_count <= RETRIES
            assert stored.state.lease_loss_count <= LOSSES

    def check_step(self, known: Known, stored: StoredItem) -> None:
        """The step moved the item as the model allows; an outcome is written once and never changes (L3)."""
        status, outcome = stored.state.status, stored.state.outcome
        if known.status is not None:
            assert status in model.reachable(known.status, self.event), f"{known.status} -> {status} by {self.event}"
        if known.outcome is not None:
            assert outcome is known.outcome
        elif outcome is not None:
            assert model.may_write(outcome, self.event)
        known.status, known.outcome = status, outcome


class Upgrades(Histories):
    """The same on servers of two adjacent releases, any of which may serve any step."""

    refusals = frozenset({Reason.UNKNOWN_SCHEMA})

    def __init__(self) -> None:
        super().__init__()
        self.servers = (self.server(scripts.load), self.server(next_release))
        self.store, self.newest = self.servers

    @initialize(
        on_dead=st.sampled_from(["KEEP_SUSPENDED", "RESUME_WITH_FAILURE"]),
        suspend=st.sampled_from([0, 1500, 20_000]),
        later=st.integers(1, len(IDS)),
    )
    def enqueue(self, on_dead: str, suspend: int, later: int) -> None:
        """Enqueue some items with the later release, the others with this one."""
        self.items = self.new_items(on_dead, suspend, 0)
        self.do(self.newest.enqueue(self.namespace, TOPIC, self.items[:later]))
        self.do(self.store.enqueue(self.namespace, TOPIC, self.items[later:]))

    @rule(later=st.booleans())
    def go_to(self, *, later: bool) -> None:
        """Go on with one of the servers."""
        self.store = self.servers[later]


def expected_indexes(stored: StoredItem, *, acknowledged: bool) -> set[str]:
    """Return exactly the indexes in which an item must stand (L5)."""
    state = stored.state
    expected = {INDEX_OF[state.status]} if state.status in INDEX_OF else set()
    if stored.policy.suspend_deadline_ms is not None and state.outcome is None:
        expected.add("deadlines")
    if state.outcome is not None:
        if not acknowledged:
            expected.add("outbox:group")
        elif state.status is not Status.DEAD_LETTER:
            expected.add("finished")
    return expected


@pytest.mark.timeout(0 if LONG else 170)
@pytest.mark.parametrize(("kind", "quick"), [("single", 60), ("cluster", 15)])
def test_promises_hold_in_random_histories(request: pytest.FixtureRequest, kind: str, quick: int) -> None:
    """No history of claims, reports, sweeps, replays and clock steps breaks a promise."""
    url = request.getfixturevalue("store_url") if kind == "single" else request.getfixturevalue("cluster").url
    walk(Histories, url, quick=quick)


@pytest.mark.timeout(0 if LONG else 170)
def test_promises_hold_while_servers_are_replaced(store_url: str) -> None:
    """Nor does one in which servers of two adjacent releases take turns."""
    walk(Upgrades, store_url, quick=30)


def walk(histories: type[Histories], store_url: str, *, quick: int) -> None:
    """Walk many histories, the usual number or a few."""
    histories.store_url = store_url
    many, long = (2000, 100) if LONG else (quick, 50)
    phases = (Phase.generate,) if os.environ.get("PLANTED") else tuple(Phase)  # a planted defect needs no shrinking
    steps = settings(
        max_examples=many, stateful_step_count=long, deadline=None, report_multiple_bugs=False, phases=phases
    )
    run_state_machine_as_test(histories, settings=steps)
