"""The calls on one worker topic. Each deals with its items one after the other; as a whole it happens or does not."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import Status
from bloge_server.domain.reports import Verdict
from bloge_server.domain.work_item import Acted, Claimed, ClaimOrder, Enqueued, Lease, NewItem, SweepResult, TopicLimits

from . import acts, reports
from .call import Call
from .item import Claim, Item
from .reports import WAITING, Word

_LIMITS = {"backlog_limit": "backlog", "dead_letter_limit": "dead_letters", "dead_letter_policy": "dead_letter_policy"}
_TOKEN = re.compile(r"([\w.-]+)/(\d+)/([\w-]+)", re.ASCII)


class Topic:
    """A worker topic.

    Args:
        namespace: its namespace.
        name: its name.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self.items: dict[str, Item] = {}
        self.sequence = 0
        """Of the items: the order within a priority."""
        self.outcomes = 0
        self._paused = False
        self._own_limits: dict[str, Any] = {}
        """They go before those of a server, by the names of `TopicLimits` (ADR 13)."""
        self._names = (namespace, name)
        self._requests: dict[str, list[tuple[str, int]]] = {}
        """What each claim with a request id handed out. They are forgotten after 60 s of the store's own clock."""

    def next_outcome(self) -> int:
        """Return the place of another outcome."""
        self.outcomes += 1
        return self.outcomes

    def outbox(self, group: str) -> list[Item]:
        """Return the items of a reply group whose outcome nobody has acknowledged, in the order of emission."""
        items = (item for item in self.items.values() if item.outbox_place and item.new.reply_group == group)
        return sorted(items, key=lambda item: item.outbox_place or 0)

    # Who produces.

    def enqueue(self, call: Call, new_items: Iterable[NewItem]) -> list[Enqueued]:
        """Create items: idempotent by id and content until retention removes them, refused beyond the backlog limit."""
        return [Enqueued(new.item_id, self._enqueue(call, new)) for new in new_items]

    def _enqueue(self, call: Call, new: NewItem) -> str:
        if new.item_id in self.items:
            item = self.items[new.item_id]
            same = "EXISTS" if item.new.digest == new.digest else "DIFFERS"
            return same if item.schema in call.reads else "UNKNOWN_SCHEMA"
        limit = self._limits(call).backlog
        if limit and sum(item.status in WAITING for item in self.items.values()) >= limit:
            return "FULL"
        self.sequence += 1
        item = self.items[new.item_id] = Item(new, max(call.reads), call.now, self.sequence, new.payload)
        item.wait(call.after(new.start_delay_ms))
        return "CREATED"

    def await_outcome(self, call: Call, item_id: str) -> Acted:
        """Tell whether there is an outcome yet."""
        return self._act(call, item_id, lambda _, item: "DONE" if item.outcome else "WAITING")

    def cancel(self, call: Call, item_ids: Iterable[str], _reason: str) -> list[Acted]:
        """Cancel items, one after the other."""
        return [self._act(call, item_id, acts.cancel) for item_id in item_ids]

    def acknowledge(self, call: Call, item_ids: Iterable[str], groups: Collection[str] = ()) -> int:
        """Take recorded outcomes out of their outbox: retention begins. Return how many stood there.

        An outbox that is named needs no look at the record, which only a later release may be able to read.
        """
        found = [self.items[each] for each in set(item_ids) if each in self.items]
        seen = [item for item in found if item.schema in call.reads or item.new.reply_group in groups]
        recorded = [item for item in seen if item.outbox_place]
        for item in recorded:
            item.outbox_place = None
            call.retain(item)
        return len(recorded)

    # Who works.

    def claim(self, call: Call, order: ClaimOrder) -> Claimed:
        """Hand out what is due, by priority, then by sequence. The same request again gets what it still holds.

        It must say that there is more if anything ready is left; it may say so in vain.
        """
        if order.request_id in self._requests:
            return Claimed(list(self._still_held(call, order)), more=False)
        if self._paused:
            return Claimed([], more=False)
        leases = self._hand_out(call, order)
        if leases and order.request_id:
            self._requests[order.request_id] = [(lease.item_id, lease.fence) for lease in leases]
        more = not order.item_id and any(item.status is Status.READY for item in self._known(call))
        return Claimed(leases, more)

    def _hand_out(self, call: Call, order: ClaimOrder) -> list[Lease]:
        """Give leases on candidates that still are some, while they fit. Nothing goes before one that does not.

        Decided: items that end while a claim looks at them are not made up for.
        """
        leases: list[Lease] = []
        left, full = order.max_bytes, False
        for item in self._candidates(call, order):
            due = item.status is Status.RETRY_WAIT
            if full and not due:
                continue
            call.settle(item)
            if item.status not in WAITING:
                continue
            size = len(item.new.spec) + len(item.payload) + len(item.progress or b"")
            fits = size <= left or (order.any_size and not leases)
            full = full or len(leases) == order.max_items or not fits
            if not full:
                leases.append(self._lease(call, item, _claim(call, item, order)))
                left -= size
            elif due and not order.item_id:
                item.move(Status.READY)
        return leases

    def _candidates(self, call: Call, order: ClaimOrder) -> list[Item]:
        """Return what a claim looks at: everything whose wait is over, and as many ready items as are asked for.

        It looks behind items that only a later release can read (ADR 12). A single item that is asked for may be within
        its start delay, but within no other wait.
        """
        if order.item_id:
            wanted = [item for item in self._known(call) if item.new.item_id == order.item_id]
            return [
                item for item in wanted if not (item.status is Status.RETRY_WAIT and item.at > call.now and item.fence)
            ]
        max_items = order.max_items
        ready = sorted((item for item in self.items.values() if item.status is Status.READY), key=_order)
        if all(item.schema in call.reads for item in ready[:max_items]):
            ready = ready[:max_items]
        waits = [item for item in self.items.values() if item.status is Status.RETRY_WAIT and item.at <= call.now]
        return sorted((item for item in ready + waits if item.schema in call.reads), key=_order)

    def _still_held(self, call: Call, order: ClaimOrder) -> Iterator[Lease]:
        for item_id, fence in self._requests[order.request_id]:
            status = self._act(call, item_id, lambda *_: "").status
            claim = self.items[item_id].claim if status == Status.CLAIMED else None
            if claim and (claim.fence, claim.worker) == (fence, order.worker_id):
                yield self._lease(call, self.items[item_id], claim)

    def _lease(self, call: Call, item: Item, claim: Claim) -> Lease:
        def left(instant: int | None) -> int:
            return -1 if instant is None else instant - call.now

        return Lease(
            token=LeaseToken(*self._names, f"{item.new.item_id}/{claim.fence}/{claim.nonce}"),
            spec=item.new.spec,
            payload=item.payload,
            attempt=item.retries + 1,
            claim_count=item.claims,
            fence=claim.fence,
            lease_ms=left(item.at),
            remaining_ms=left(item.suspend_deadline),
            attempt_timeout_ms=left(item.attempt_end),
            progress=item.progress or b"",
            item_id=item.new.item_id,
        )

    def report(self, call: Call, words: Iterable[Word]) -> list[Verdict]:
        """Take receipts, heartbeats, outputs, failures, releases."""
        return [self._judge(call, word) for word in words]

    receive = heartbeat = complete = fail = release = report

    def _judge(self, call: Call, word: Word) -> Verdict:
        if (shown := _TOKEN.fullmatch(word.token.claim)) is None:
            return Verdict(Reason.INVALID_TOKEN)
        if (missing := self._missing(call, shown[1])) is not None:
            return Verdict(Reason(missing))
        return reports.take(call, self.items[shown[1]], int(shown[2]), shown[3], word)

    # Who operates.

    def replay(self, call: Call, wanted: Iterable[tuple[str, int]], payload: bytes | None = None) -> list[Acted]:
        """Put dead letters back, each after a delay and in a new place, in the order in which they are named."""

        def act(call: Call, item: Item, delay: int) -> str:
            answer = acts.replay(call, item, self.sequence + 1, delay, payload)
            self.sequence += answer == "REPLAYED"
            return answer

        return [self._act(call, item_id, partial(act, delay=delay)) for item_id, delay in wanted]

    def discard(self, call: Call, item_ids: Iterable[str]) -> list[Acted]:
        """Drop dead letters, one after the other."""
        return [self._act(call, item_id, acts.discard) for item_id in item_ids]

    def adopt(self, call: Call, item_id: str, fence: int) -> Acted:
        """Take the late output of a claim as the outcome."""
        return self._act(call, item_id, partial(acts.adopt, fence=fence))

    def configure(self, settings: Iterable[tuple[str, Any]]) -> None:
        """Pause, resume, limit; None gives a setting back to the server. Held leases of a paused topic go on."""
        for name, value in settings:
            if name == "paused":
                self._paused = bool(value)
            elif value is None:
                self._own_limits.pop(_LIMITS[name], None)
            else:
                self._own_limits[_LIMITS[name]] = value

    # What happens by itself.

    def sweep(self, call: Call) -> SweepResult:
        """Do what is due, oldest first: deadlines, leases, waits, dead letters beyond the limit, retention (ADR 3).

        What one of them leads to is not due before the next pass. It must come back by the next instant that is due.
        """
        limits = self._limits(call)
        known = self._known(call)
        deadlines = _due(call, known, lambda item: None if item.outcome else item.suspend_deadline)
        leases = _due(call, known, lambda item: item.at if item.status is Status.CLAIMED else None)
        waits = _due(call, known, lambda item: item.at if item.status is Status.RETRY_WAIT else None)
        dead = sorted((it for it in self.items.values() if it.status is Status.DEAD_LETTER), key=_age)
        surplus = dead[: len(dead) - limits.dead_letters] if 0 < limits.dead_letters < len(dead) else []
        gone = _due(call, known, lambda item: item.kept_until)
        for item in deadlines:
            call.settle(item)
        for item in (expired := [item for item in leases if item.status is Status.CLAIMED]):
            call.settle(item)
        for item in (promoted := [item for item in waits if item.status is Status.RETRY_WAIT]):
            item.move(Status.READY)
        dropped = [it for it in surplus if it in known and limits.dead_letter_policy == "DISCARD_OLDEST"]
        for item in dropped:
            acts.discard(call, item)
        ended = [item.new.item_id for item in gone if item.is_execution]
        for item in gone:
            if not item.is_execution:
                del self.items[item.new.item_id]
        instants = [at for item in self._known(call) for at in item.instants() if item.new.item_id not in ended]
        return SweepResult(
            promoted=len(promoted),
            expired=len(expired),
            timed_out=len(deadlines),
            purged=len(gone) - len(ended),
            discarded=len(dropped),
            next_due_ms=max(1, min(instants) - call.now) if instants else -1,
            dead_beyond_limit=len(surplus) - len(dropped),
            ended_executions=tuple(ended),
        )

    def purge(self, item_ids: Iterable[str]) -> None:
        """Remove executions that a sweep has named, as their journals are gone."""
        for item_id in item_ids:
            del self.items[item_id]

    def _limits(self, call: Call) -> TopicLimits:
        return call.limits._replace(**self._own_limits)

    def _known(self, call: Call) -> list[Item]:
        return [item for item in self.items.values() if item.schema in call.reads]

    def _missing(self, call: Call, item_id: str) -> str | None:
        if item_id not in self.items:
            return "NOT_FOUND"
        return None if self.items[item_id].schema in call.reads else "UNKNOWN_SCHEMA"

    def _act(self, call: Call, item_id: str, act: Callable[[Call, Item], str]) -> Acted:
        """Act on an item, once what is due has happened."""
        if (missing := self._missing(call, item_id)) is not None:
            return Acted(missing, "-", "-")
        item = self.items[item_id]
        call.settle(item)
        answer = act(call, item)
        return Acted(answer, item.status, item.outcome or "-")


def _claim(call: Call, item: Item, order: ClaimOrder) -> Claim:
    """Claim an item. An offer has a short lease until its receipt."""
    item.retire_claim(call.now)
    offered = order.offer_lease_ms > 0
    item.claim = Claim(item.fence, call.nonce, order.worker_id, call.now, order.lease_ms, received=not offered)
    item.claims += 1
    first_lease = min(order.offer_lease_ms, order.lease_ms) if offered else order.lease_ms
    item.move(Status.CLAIMED, item.lease_until(call.now + first_lease))
    return item.claim


def _order(item: Item) -> tuple[int, int]:
    return -item.new.priority, item.sequence


def _age(item: Item) -> tuple[int, str]:
    return item.at, item.new.item_id


def _due(call: Call, items: Iterable[Item], instant: Callable[[Item], int | None]) -> list[Item]:
    """Return the items whose instant has come, the oldest first."""
    found = [(at, item.new.item_id, item) for item in items if (at := instant(item)) is not None and at <= call.now]
    return [item for *_, item in sorted(found, key=lambda each: each[:2])]
