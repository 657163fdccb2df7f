"""Random histories of one topic, over every call that there is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import Status
from bloge_server.domain.reports import Heartbeat, Receipt
from bloge_server.domain.work_item import ClaimOrder
from bloge_server.store.topics import Setting

from . import draws
from .draws import BY, CHOICE, KIND, Kind, Pick, few, one_of, picks
from .model.item import Item
from .pair import LIMITS, START_MS, TOPIC, By, Pair, Place
from .promises import REPORTS

IDS = ("a", "b", "c", "d", "e", "f")
SELDOM = 4
"""In so many steps a rule may step in once that would not be useful then."""
EDGE = one_of(0, 0, -1, 1)
"""How far from an instant, in ms."""
NOTICED_BY = st.none() | BY
"""Which server sweeps at once, if any does."""
CLOCK_ERROR_MS = 50
"""How far the store's clock may ever go back."""


def when(useful: Callable[["Histories"], object]) -> Callable[[Any], Any]:
    """Let a rule step in when it is useful, and seldom otherwise."""
    return precondition(lambda machine: machine.steps % SELDOM == 0 or bool(useful(machine)))


def never(_: "Histories") -> bool:
    """Let a rule step in seldom."""
    return False


def has_room(history: "Histories") -> bool:
    """Return whether an enqueue may create something."""
    waiting = history.pair.standing(Status.READY, Status.RETRY_WAIT)
    return len(history.pair.seen.records) < len(IDS) and len(waiting) < LIMITS.backlog


def has_work(history: "Histories") -> bool:
    """Return whether a claim may hand something out."""
    due = (item.status is Status.RETRY_WAIT and item.at <= history.pair.now for item in history.items)
    return bool(history.pair.standing(Status.READY)) or any(due)


def has_offers(history: "Histories") -> bool:
    """Return whether an offer waits for its receipt."""
    return any(it.status is Status.CLAIMED and it.claim and not it.claim.received for it in history.items)


def has_words(history: "Histories") -> bool:
    """Return whether something is left to report."""
    return bool(history.undecided())


def has_outcomes(history: "Histories") -> bool:
    """Return whether an outcome is not acknowledged."""
    return any(item.outbox_place for item in history.items)


def has_dead(history: "Histories") -> bool:
    """Return whether there is a dead letter."""
    return bool(history.pair.standing(Status.DEAD_LETTER))


def has_late_outputs(history: "Histories") -> bool:
    """Return whether a dead letter has a late output."""
    return any(item.status is Status.DEAD_LETTER and item.late_outputs for item in history.items)


def is_due(history: "Histories") -> bool:
    """Return whether something is due by itself."""
    return any(at <= history.pair.now for item in history.items for at in item.instants())


class Histories(RuleBasedStateMachine):
    """Carries the store and the model through random calls; which server serves each of them is random too."""

    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(self.place, IDS)
        self.latest = START_MS
        self.sent: list[tuple[str, Sequence[Any]]] = []
        self.decided: set[LeaseToken] = set()
        """Tokens with which something else than a heartbeat or a receipt was reported."""
        self.steps = 0

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.pair.close()

    # What a choice means.

    def item(self, choice: int, *statuses: Status) -> str:
        """Return an item: mostly one of these statuses if there is any, and seldom one that is not there."""
        known = sorted(self.pair.seen.records)
        preferred = self.pair.standing(*statuses)
        pool = preferred if preferred and choice % 4 else [*known, *known, *known, "nobody"]
        return pool[choice // 4 % len(pool)]

    @property
    def items(self) -> Iterable[Item]:
        """The model's items."""
        return self.pair.model.items.values()

    def undecided(self) -> list[LeaseToken]:
        """Return the tokens that have decided nothing yet."""
        return [token for token in self.pair.tokens if token not in self.decided]

    def shown(self, wanted: Iterable[Pick]) -> Iterator[tuple[LeaseToken, Any]]:
        """Yield the tokens that are meant, with what else is said: mostly those with something left to say."""
        undecided = self.undecided()
        for pick in wanted:
            pool = undecided if undecided and pick.choice % 4 else self.pair.tokens
            if pool:
                yield pool[max(-len(pool), -1 - pick.age)], pick.says

    def call(self, by: By, verb: str, *args: Any) -> None:
        """Carry out a call on both sides."""
        self.steps += 1
        self.pair.call(by, verb, *args)

    def claimed(self, by: By, order: ClaimOrder) -> list[LeaseToken]:
        """Claim items on both sides; return the tokens of their leases."""
        self.steps += 1
        return self.pair.claim(by, order)

    def report(self, by: By, verb: str, reports: Sequence[Any]) -> None:
        """Send reports in one call, and keep them to send them again."""
        if reports:
            self.sent.append((verb, reports))
            if verb in {"complete", "fail", "release"}:
                self.decided.update(report.token for report in reports)
            self.call(by, verb, reports)

    # How a history begins, and how time passes.

    @initialize(kinds=st.tuples(KIND, KIND, KIND), by=BY, times=one_of(*[0] * 18, 17, 100))
    def begin(self, kinds: Sequence[Kind], by: By, times: int) -> None:
        """Enqueue some items. In a few histories one of them has been handed around before."""
        self.call(by, "enqueue", [kind.named(item_id) for kind, item_id in zip(kinds, IDS, strict=False)])
        for _ in range(times):
            for token in self.claimed(by, ClaimOrder("w1", 1, draws.LEASE_MS)):
                self.call(by, "release", [draws.released(token, (0, False))])

    @when(never)
    @rule(ms=one_of(1, 40, 199, 500, 5000, -30))
    def pass_time(self, ms: int) -> None:
        """Let time pass; a clock may go back a little."""
        self.be_at(max(self.pair.now + ms, self.latest - CLOCK_ERROR_MS))

    @rule(choice=one_of(0, 0, 0, 1, 2, 3), edge=EDGE, noticed_by=NOTICED_BY)
    def reach(self, choice: int, edge: int, noticed_by: By | None) -> None:
        """Let time pass until something is due: exactly, or just before, or just after."""
        self.reach_one_of((at for item in self.items for at in item.instants()), choice, edge, noticed_by)

    @when(lambda history: history.pair.standing(Status.CLAIMED))
    @rule(choice=one_of(0, 0, 1), edge=EDGE, noticed_by=NOTICED_BY)
    def fall_silent(self, choice: int, edge: int, noticed_by: By | None) -> None:
        """Let time pass until a lease lapses or an attempt must end."""
        held = [item for item in self.items if item.status is Status.CLAIMED]
        self.reach_one_of((at for item in held for at in (item.at, item.attempt_end or 0)), choice, edge, noticed_by)

    def reach_one_of(self, instants: Iterable[int], choice: int, edge: int, noticed_by: By | None) -> None:
        """Let time pass until one of these instants, or about it; perhaps a server sweeps then."""
        if ahead := sorted({at + edge for at in instants if at + edge > self.pair.now}):
            self.be_at(ahead[choice % len(ahead)])
            if noticed_by is not None:
                self.call(noticed_by, "sweep")

    def be_at(self, instant: int) -> None:
        """Set the clock."""
        self.steps += 1
        self.pair.now = instant
        self.latest = max(instant, self.latest)

    # Who produces.

    @when(has_room)
    @rule(by=BY, kinds=few(KIND), choice=CHOICE)
    def enqueue(self, by: By, kinds: list[Kind], choice: int) -> None:
        """Enqueue items: new ones, and other content for ids that are taken."""
        free = [item_id for item_id in IDS if item_id not in self.pair.seen.records]
        pool = [*free, IDS[choice % len(IDS)]]
        self.call(by, "enqueue", [kind.named(pool[at % len(pool)]) for at, kind in enumerate(kinds)])

    @when(never)
    @rule(by=BY, choices=few(CHOICE))
    def enqueue_again(self, by: By, choices: list[int]) -> None:
        """Enqueue what is there already."""
        known = self.pair.model.items
        self.call(by, "enqueue", [known[each].new for each in map(self.item, choices) if each in known])

    @when(never)
    @rule(by=BY, choice=CHOICE)
    def await_outcome(self, by: By, choice: int) -> None:
        """Ask for an outcome."""
        self.call(by, "await_outcome", self.item(choice))

    @when(has_outcomes)
    @rule(by=BY, choices=few(CHOICE), groups=draws.LIKELY_GROUPS)
    def acknowledge(self, by: By, choices: list[int], groups: tuple[str, ...]) -> None:
        """Record outcomes."""
        self.call(by, "acknowledge", [self.item(each, Status.DONE, Status.CANCELLED) for each in choices], groups)

    @when(never)
    @rule(by=BY, choice=CHOICE)
    def cancel(self, by: By, choice: int) -> None:
        """Cancel an item."""
        self.call(by, "cancel", [self.item(choice)], "why")

    # Who works.

    @when(has_work)
    @rule(by=BY, order=draws.ORDER)
    def claim(self, by: By, order: ClaimOrder) -> None:
        """Claim items, by a reply or as an offer; perhaps with a request that was made before."""
        self.claimed(by, order)

    @when(has_work)
    @rule(by=BY, offer=one_of(0, draws.OFFER_MS))
    def claim_all(self, by: By, offer: int) -> None:
        """Claim whatever there is."""
        self.claimed(by, ClaimOrder("w1", 9, draws.LEASE_MS, offer))

    @when(has_work)
    @rule(by=BY, words=few(draws.DONE_WITH_IT))
    def work(self, by: By, words: list[tuple[str, Any]]) -> None:
        """Claim items and be done with them, one way or another."""
        tokens = self.claimed(by, ClaimOrder("w2", len(words), draws.LEASE_MS))
        for token, (verb, said) in zip(tokens, words, strict=False):
            if verb:
                self.report(by, verb, [draws.reported(verb, token, said)])

    @when(has_offers)
    @rule(by=BY, wanted=picks(draws.RECEIPT_AGE))
    def receive(self, by: By, wanted: list[Pick]) -> None:
        """Confirm offers."""
        self.report(by, "receive", [Receipt(token, age) for token, age in self.shown(wanted)])

    @when(has_words)
    @rule(by=BY, wanted=picks(draws.BEAT))
    def heartbeat(self, by: By, wanted: list[Pick]) -> None:
        """Extend leases."""
        self.report(by, "heartbeat", [Heartbeat(token, *said) for token, said in self.shown(wanted)])

    @when(has_words)
    @rule(by=BY, wanted=picks(draws.OUTPUT))
    def complete(self, by: By, wanted: list[Pick]) -> None:
        """Report outputs, business errors, cancelled executions."""
        self.report(by, "complete", [draws.completed(*shown) for shown in self.shown(wanted)])

    @when(has_words)
    @rule(by=BY, wanted=picks(draws.FAILURE))
    def fail(self, by: By, wanted: list[Pick]) -> None:
        """Report failures."""
        self.report(by, "fail", [draws.failed(*shown) for shown in self.shown(wanted)])

    @when(has_words)
    @rule(by=BY, wanted=picks(draws.RELEASE))
    def release(self, by: By, wanted: list[Pick]) -> None:
        """Hand items back."""
        self.report(by, "release", [draws.released(*shown) for shown in self.shown(wanted)])

    @rule(by=BY, back=st.integers(0, 9))
    def repeat(self, by: By, back: int) -> None:
        """Send reports again that were sent before."""
        if self.sent:
            self.call(by, *self.sent[-1 - back % len(self.sent)])

    @when(never)
    @rule(by=BY, choice=CHOICE, form=st.sampled_from(draws.FORGERIES), verb=st.sampled_from(sorted(REPORTS)))
    def forge(self, by: By, choice: int, form: str, verb: str) -> None:
        """Show a token that was never handed out."""
        item_id = self.item(choice, Status.CLAIMED)
        record = self.pair.seen.records.get(item_id)
        fence, nonce = (record.state.fence, record.state.nonce) if record else (0, "x")
        claim = form.format(id=item_id, fence=fence, later=fence + 1, earlier=fence - 1, nonce=nonce)
        self.call(by, verb, [draws.forged(verb, LeaseToken(self.pair.namespace, TOPIC, claim))])

    # Who operates.

    @when(has_dead)
    @rule(by=BY, wanted=few(st.tuples(CHOICE, one_of(0, 0, 100))), payload=one_of(None, None, b"patched"))
    def replay(self, by: By, wanted: list[tuple[int, int]], payload: bytes | None) -> None:
        """Replay dead letters."""
        items = [(self.item(choice, Status.DEAD_LETTER), delay) for choice, delay in wanted]
        self.call(by, "replay", items, payload)

    @when(has_dead)
    @rule(by=BY, choice=CHOICE)
    def discard(self, by: By, choice: int) -> None:
        """Drop a dead letter."""
        self.call(by, "discard", [self.item(choice, Status.DEAD_LETTER)])

    @when(has_late_outputs)
    @rule(by=BY, choice=CHOICE)
    def adopt(self, by: By, choice: int) -> None:
        """Take a late output as the outcome; or ask for one that is not there."""
        dead = self.pair.standing(Status.DEAD_LETTER)
        there = [(item_id, fence) for item_id in dead for fence in self.pair.seen.records[item_id].late_outputs]
        pool = there if there and choice % 4 else [*there, (self.item(choice), 12345)]
        self.call(by, "adopt", *pool[choice // 4 % len(pool)])

    @when(never)
    @rule(by=BY, settings=st.sampled_from(draws.SETTINGS))
    def configure(self, by: By, settings: dict[Setting, int | str | None]) -> None:
        """Pause, resume, limit."""
        self.steps += 1
        self.pair.configure(by, settings)

    # What happens by itself.

    @when(is_due)
    @rule(by=BY)
    def sweep(self, by: By) -> None:
        """Do what is due; executions go in a step of their own, after their journals."""
        self.steps += 1
        if ended := self.pair.call(by, "sweep").ended_executions:
            self.pair.purge(by, ended)

    @when(never)
    @rule()
    def audit(self) -> None:
        """Prove the indexes, as `bloge-server audit` does."""
        self.steps += 1
        assert self.pair.audit() == []
