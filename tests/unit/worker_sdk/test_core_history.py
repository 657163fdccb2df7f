"""Random histories of a worker and a server that keeps to the contract, checked after every step."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from unit.worker_sdk.core_driver import CoreDriver
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker._effects import Effects
from bloge_worker._leases import HeldLease

SLOTS = 5
MAX_BYTES = 400


class WorkerHistory(RuleBasedStateMachine):
    """The worker is the real core; the server is a model that offers only on credit."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = CoreDriver(slots=SLOTS, max_held_bytes=MAX_BYTES)
        self.fence = 0
        self.running: list[HeldLease] = []
        self.stopped: set[HeldLease] = set()
        self.started: dict[str, int] = {}
        self.unjudged: dict[str, Any] = {}
        self.judged: set[str] = set()
        self.round: list[work_stream_pb2.Reports] = []
        self.new_session()

    def new_session(self) -> None:
        """Forget what belongs to the session."""
        self.offered_items = self.offered_bytes = self.credit_items = self.credit_bytes = 0
        self.beats: list[Any] = []
        self.hello: work_stream_pb2.Hello | None = None

    def absorb(self, effects: Effects) -> None:
        """Take what the worker does, as shell and server."""
        for _, frame in effects.frames:
            self.take_frame(frame)
        if effects.unary:
            assert not self.round, "one round of unary calls at a time"
            assert not self.connected, "while there is a session everything goes on it"
            self.round = list(effects.unary)
            for batch in effects.unary:
                self.take_frame(work_stream_pb2.WorkRequest(reports=batch))
        for held, _ in effects.cancels:
            assert held in self.running, "only what runs is stopped"
            assert held not in self.stopped, "a handler is stopped once"
            self.stopped.add(held)
        for held in effects.starts:
            assert held.fence > self.started.get(held.key[1], 0), "an older claim never starts after a newer one"
            self.started[held.key[1]] = held.fence
            self.running.append(held)

    def take_frame(self, frame: work_stream_pb2.WorkRequest) -> None:
        """Take a frame as the server does."""
        kind = frame.WhichOneof("frame")
        if kind == "hello":
            self.hello = frame.hello
            live = {held.token for held in self.running if held.lost is None}
            assert set(frame.hello.held_lease_tokens) == live, "Hello names what runs"
        elif kind == "credits":
            assert frame.credits.items_total >= self.credit_items, "totals never shrink"
            self.credit_items, self.credit_bytes = frame.credits.items_total, frame.credits.bytes_total
            assert self.credit_bytes > 0
        elif kind == "reports":
            self.beats += frame.reports.heartbeats
            reports: list[Any] = [*frame.reports.completes, *frame.reports.fails, *frame.reports.releases]
            for report in reports:
                assert report.lease_token not in self.judged, "a judged report is not repeated"
                self.unjudged[report.lease_token] = report

    def act(self, call: Callable[[], Effects]) -> None:
        """Do one thing and absorb what follows."""
        self.absorb(call())

    @property
    def connected(self) -> bool:
        """Tell whether a session is open."""
        return self.driver.core.is_connected

    @precondition(lambda self: not self.connected)
    @rule(keep=st.lists(st.booleans(), min_size=SLOTS + 5, max_size=SLOTS + 5))
    def connect(self, keep: list[bool]) -> None:
        """Open a session in which the server keeps some leases and drops others."""
        driver = self.driver
        turns = 0
        while self.hello is None:
            turns += 1
            assert turns < 100, "every wake-up leads somewhere"
            driver.now = max(driver.now, driver.core.wakeup())
            self.absorb(driver.turn())
        hello = self.hello
        self.new_session()
        named = list(hello.held_lease_tokens)
        superseded = error_reason_pb2.ERROR_REASON_SUPERSEDED
        verdicts = [
            lease_pb2.Verdict(reason=error_reason_pb2.ERROR_REASON_UNSPECIFIED if kept else superseded)
            for _, kept in zip(named, keep, strict=False)
        ]
        waiting = set(self.unjudged)
        self.unjudged = {}
        self.act(lambda: driver.be_welcomed(held_leases=verdicts))
        assert waiting <= set(self.unjudged), "every report without a verdict is repeated"

    @precondition(lambda self: self.connected)
    @rule(item=st.integers(0, 7), size=st.integers(0, 200), count=st.integers(1, 3))
    def offer(self, item: int, size: int, count: int) -> None:
        """Offer as many as credit allows; the same item may be claimed again."""
        leases = []
        for n in range(count):
            free = self.credit_items - self.offered_items
            if free <= 0 or (self.offered_bytes + size > self.credit_bytes and self.running):
                break
            self.fence += 1
            self.offered_items += 1
            self.offered_bytes += size
            leases.append(lease_of(f"i{(item + n) % 8}", fence=self.fence, payload=b"x" * size))
        if leases:
            self.driver.offer(*leases)
            assert len(self.driver.sent("receipt")) == 1
            self.absorb(self.driver.effects)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["complete", "fail", "stop"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        """End a handler; one that was not told to stop has something to say."""
        held = data.draw(st.sampled_from(self.running))
        self.running.remove(held)
        lost = held.lost is not None
        if how == "complete":
            self.act(lambda: self.driver.complete(held))
        elif how == "fail":
            self.act(lambda: self.driver.fail(held, RuntimeError()))
        elif lost:
            self.act(lambda: self.driver.finish(held, None))
        else:
            self.running.append(held)
            return
        if self.connected and not lost:
            assert held.token in self.unjudged, "the end of a run is reported at once"

    @precondition(lambda self: self.connected and self.unjudged)
    @rule(data=st.data())
    def judge(self, data: st.DataObject) -> None:
        """Accept one report."""
        token = data.draw(st.sampled_from(sorted(self.unjudged)))
        self.judged.add(token)
        self.act(lambda: self.driver.accept(self.unjudged.pop(token)))

    @precondition(lambda self: self.round)
    @rule(how_far=st.integers(0, 5))
    def answer_round(self, how_far: int) -> None:
        """End a round of unary calls: some of its reports are accepted, the connection fails before the others."""
        reports: list[Any] = []
        for batch in self.round:
            reports += [*batch.heartbeats, *batch.completes, *batch.fails, *batch.releases]
        answered = reports[:how_far]
        tokens = {each.lease_token for each in answered if not isinstance(each, lease_pb2.HeartbeatReport)}
        self.judged |= tokens
        for token in tokens:
            self.unjudged.pop(token, None)
        self.round = []
        verdicts = [lease_pb2.Verdict(report_id=each.report_id) for each in answered]
        self.driver.core.answered(verdicts, self.driver.now, wholly=len(answered) == len(reports))
        self.act(self.driver.turn)

    @precondition(lambda self: self.connected and self.beats)
    @rule(refuse=st.booleans())
    def judge_beats(self, *, refuse: bool) -> None:
        """Answer all heartbeats."""
        reason = error_reason_pb2.ERROR_REASON_CANCELLED if refuse else error_reason_pb2.ERROR_REASON_UNSPECIFIED
        verdicts = [lease_pb2.Verdict(report_id=beat.report_id, reason=reason) for beat in self.beats]
        self.beats = []
        self.act(lambda: self.driver.judge(*verdicts))

    @precondition(lambda self: self.connected and self.running)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a running item."""
        held = data.draw(st.sampled_from(self.running))
        cancel = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id=held.key[1], fence=held.fence)
        self.act(lambda: self.driver.receive(cancels=work_stream_pb2.Cancels(cancels=[cancel])))

    @precondition(lambda self: self.connected)
    @rule()
    def break_stream(self) -> None:
        """Lose the stream."""
        self.act(self.driver.break_stream)

    @rule(seconds=st.floats(0.0, 12.0))
    def wait(self, seconds: float) -> None:
        """Let time pass, with the server alive."""
        if self.connected:
            self.act(lambda: self.driver.receive(ping=work_stream_pb2.Ping(answer=1)))
        if self.hello is None:
            self.act(lambda: self.driver.turn(seconds))

    @invariant()
    def credit_and_held_items_fit_the_slots(self) -> None:
        """What may still be offered and what is held never exceed the slots."""
        if self.connected:
            assert self.credit_items - self.offered_items + len(self.driver.holdings.leases) <= SLOTS

    @invariant()
    def no_deadlock(self) -> None:
        """With a session and a free slot the server has at least one credit, or soon a third of the slots is free."""
        if self.connected:
            free = SLOTS - len(self.driver.holdings.leases)
            assert free == 0 or self.credit_items > self.offered_items

    @invariant()
    def only_the_newest_claim_of_an_item_runs_unstopped(self) -> None:
        """Of one item at most one handler runs that was not told to stop."""
        live = [held.key for held in self.running if held.lost is None]
        assert len(live) == len(set(live))

    @invariant()
    def nothing_runs_past_its_lease(self) -> None:
        """Every handler whose lease has run out by the worker's clock was told to stop."""
        for held in self.running:
            assert held.lost is not None or self.driver.now < held.stop_at

    @invariant()
    def after_a_turn_nothing_is_due(self) -> None:
        """A turn does all that is due, so the shell never spins."""
        self.absorb(self.driver.turn())
        assert self.driver.core.wakeup() > self.driver.now

    @invariant()
    def the_worker_holds_what_runs(self) -> None:
        """A slot is occupied exactly while its handler runs."""
        assert set(self.driver.holdings.leases) == set(self.running)
        assert self.driver.holdings.leases.payload_bytes == sum(held.payload_bytes for held in self.running)


TestWorkerHistory = WorkerHistory.TestCase
TestWorkerHistory.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
