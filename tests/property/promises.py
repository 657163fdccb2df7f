"""The promises of the lease engine by number, held against what was seen of a history, whatever the model predicts.

And the table of the lifecycle: an item moves as it says, and not otherwise.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bloge.remote_workers.errors import Reason
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import INDEX_OF, TRANSITIONS, Event, Status
from bloge_server.domain.reports import Complete, Fail, Release, Verdict
from bloge_server.domain.work_item import Claimed

from .reading import Record, Snapshot

REPORTS = {"heartbeat", "receive", "complete", "fail", "release"}
UNDECIDED = {
    Reason.INVALID_TOKEN, Reason.INVALID_FIELD, Reason.NOT_FOUND, Reason.UNKNOWN_SCHEMA, Reason.CONFLICTING_REPORT,
}  # fmt: skip
"""Answers that decide nothing for their token."""
REMEMBERED = 16
"""Claims back to which the same report gets the same answer (L12)."""
LATE = ("late_", "claims")
"""How the fields begin that a superseded report may change (L6)."""


BY_ITSELF = (
    Event.DUE, Event.OFFER_EXPIRED, Event.LEASE_EXPIRED, Event.ATTEMPT_TIMEOUT, Event.SUSPEND_DEADLINE,
)  # fmt: skip
"""What may happen in any step: every script first settles what is due."""
EVENTS = {
    "claim": (Event.CLAIM,), "receive": (Event.RECEIPT,), "heartbeat": (Event.HEARTBEAT,),
    "complete": (Event.COMPLETE, Event.BUSINESS_ERROR), "fail": (Event.FAIL,), "release": (Event.RELEASE,),
    "cancel": (Event.CANCEL,), "replay": (Event.REPLAY,), "adopt": (Event.ADOPT,), "discard": (Event.DISCARD,),
    "sweep": (Event.DISCARD,),
}  # fmt: skip
"""What each call may let happen besides. A sweep drops dead letters beyond the limit."""


class Step(NamedTuple):
    """One call, and what was seen of it."""

    now: int
    verb: str
    args: tuple[Any, ...]
    answer: Any
    before: Snapshot
    after: Snapshot

    def verdicts(self) -> Iterator[tuple[LeaseToken, Any, Verdict]]:
        """Yield token, report and verdict of everything that was reported; nothing for other calls."""
        if self.verb in REPORTS:
            for report, verdict in zip(self.args[0], self.answer, strict=True):
                yield report.token, report, verdict


@dataclass
class Seen:
    """What has been seen of one item."""

    fences: list[int] = field(default_factory=list)
    finished_by: set[tuple[Any, ...]] = field(default_factory=set)
    """Reports that were accepted as its outcome."""
    retries: int = 0
    """Failures that were answered with another attempt, since the last replay."""
    answers: dict[LeaseToken, dict[tuple[str, str], Verdict]] = field(default_factory=dict)
    """What each token's reports were answered, by kind and digest."""


class Promises:
    """Watches one history."""

    def __init__(self) -> None:
        self._seen: defaultdict[str, Seen] = defaultdict(Seen)

    def check(self, step: Step) -> None:
        """Hold a step against every promise.

        Raises:
            AssertionError: one is broken; the message begins with its number.
        """
        self._one_lease(step)
        self._rising_fences(step)
        self._one_answer(step)
        for item_id, after in step.after.records.items():
            before = step.before.records.get(item_id)
            _one_place(item_id, step, before, after)
            self._budget(item_id, before, after)
            _costs(item_id, step, before, after)
            if before is not None:
                _as_the_table_says(item_id, step, before.state.status, after.state.status)
                self._one_outcome(item_id, step, before, after)
                _superseded_change_nothing(item_id, step, before, after)
        for item_id in step.before.records.keys() - step.after.records.keys():
            self._gone(item_id, step, step.before.records[item_id])
        hold(5, not step.after.strays, f"index entries without an item: {step.after.strays}")

    def _one_lease(self, step: Step) -> None:
        """L1: nothing is handed out while a lease on it is current, and only the last token extends one."""
        for item_id, _ in _claimed_anew(step):
            record = step.before.records[item_id]
            current = record.indexes.get("leases", step.now) > step.now
            hold(1, not current, f"{item_id} was handed out under a current lease")
        if step.verb in {"heartbeat", "receive"}:
            for token, _, verdict in step.verdicts():
                if verdict.accepted:
                    last = step.after.records[token.item_id].state.fence
                    hold(1, int(token.fence) == last, f"{token} was extended, though {last} is the last claim")

    def _rising_fences(self, step: Step) -> None:
        """L2: each claim has a larger fence than any before it, and a replay raises it too."""
        for item_id, fence in _claimed_anew(step):
            fences = self._seen[item_id].fences
            hold(2, not fences or fence > fences[-1], f"{item_id} has fence {fence} after {fences[-1:]}")
            fences.append(fence)
        for item_id, after in step.after.records.items():
            if (before := step.before.records.get(item_id)) is not None:
                hold(2, after.state.fence >= before.state.fence, f"the fence of {item_id} fell")
                replayed = after.fields.get("replay_count") != before.fields.get("replay_count")
                hold(
                    2, not replayed or after.state.fence > before.state.fence, f"{item_id} was replayed with its fence"
                )

    def _one_outcome(self, item_id: str, step: Step, before: Record, after: Record) -> None:
        """L3: an outcome is written once and never changes; nothing else is accepted as it."""
        if before.state.outcome is not None:
            told = [(each.state.outcome, each.state.outcome_ms, *_bodies(each)) for each in (before, after)]
            hold(3, told[0] == told[1], f"the outcome of {item_id} changed: {told}")
        finished_by = self._seen[item_id].finished_by
        for token, report, verdict in step.verdicts():
            if token.item_id == item_id and isinstance(report, Complete) and verdict.accepted:
                finished_by.add((token, report.kind, report.digest))
        hold(3, len(finished_by) <= 1, f"{item_id} has {len(finished_by)} accepted outcomes: {finished_by}")

    def _one_answer(self, step: Step) -> None:
        """L12: the same report gets the same answer, and after a decision another one is a conflict."""
        for token, report, verdict in step.verdicts():
            if not isinstance(report, (Complete, Fail, Release)) or verdict.reason in {
                Reason.UNKNOWN_SCHEMA, Reason.NOT_FOUND, Reason.INVALID_TOKEN,
            }:  # fmt: skip
                continue
            seen = self._seen[token.item_id]
            if int(token.fence) not in seen.fences[-REMEMBERED:]:
                continue
            answers = seen.answers.setdefault(token, {})
            same = (_kind(report), report.digest)
            if isinstance(report, Fail) and same not in answers:
                seen.retries += verdict.retry_ms is not None
            if same in answers:
                hold(12, verdict == answers[same], f"{report} got {verdict}, before {answers[same]}")
            elif answers and verdict.reason is not Reason.CONFLICTING_REPORT:
                handed_back = any(kind == "Release" and answer.accepted for (kind, _), answer in answers.items())
                finishes = isinstance(report, Complete) and (verdict.accepted or verdict.reason in UNDECIDED)
                hold(12, len(answers) == 1 and handed_back and finishes, f"{report} got {verdict} after {answers}")
            if verdict.reason not in UNDECIDED:
                answers[same] = verdict

    def _budget(self, item_id: str, before: Record | None, after: Record) -> None:
        """L7: retries stay within the budget, counted here as well, and lease losses within their cap."""
        seen, state, policy = self._seen[item_id], after.state, after.policy
        if before is not None and before.fields.get("replay_count") != after.fields.get("replay_count"):
            seen.retries = 0
        retries = max(seen.retries, state.retry_count)
        hold(7, retries <= policy.max_retries, f"{item_id} had {retries} retries of {policy.max_retries}")
        losses = state.lease_loss_count
        hold(7, losses <= policy.max_lease_losses, f"{item_id} lost {losses} leases of {policy.max_lease_losses}")

    def _gone(self, item_id: str, step: Step, before: Record) -> None:
        """L5: only a sweep removes an item, or an execution after its journal, once its retention is over."""
        over = before.indexes.get("finished", step.now + 1) <= step.now
        hold(5, step.verb in {"sweep", "purge"} and over, f"{item_id} went by {step.verb}: {before}")
        self._seen[item_id] = Seen(self._seen[item_id].fences)


def hold(number: int, kept: object, what: str) -> None:
    """Raise unless a promise is kept."""
    if not kept:
        raise AssertionError(f"L{number}: {what}")


def _claimed_anew(step: Step) -> Iterator[tuple[str, int]]:
    """Yield item and fence of every lease that was handed out, but for those that a repeated request got again."""
    for lease in step.answer.leases if isinstance(step.answer, Claimed) else ():
        state = step.before.records[lease.item_id].state
        if state.status is not Status.CLAIMED or state.fence != lease.fence:
            yield lease.item_id, lease.fence


def _kind(report: Complete | Fail | Release) -> str:
    return report.kind if isinstance(report, Complete) else type(report).__name__


def _bodies(record: Record) -> tuple[bytes | None, bytes | None]:
    return record.fields.get("output"), record.fields.get("business_error")


def _one_place(item_id: str, step: Step, before: Record | None, record: Record) -> None:
    """L5: in the one index of its status, in `deadlines` while its node waits, in its outbox until acknowledged."""
    state, policy = record.state, record.policy
    outbox = f"outbox:{policy.reply_group}"
    expected = {INDEX_OF[state.status]} if state.status in INDEX_OF else set()
    if state.outcome is None:
        expected |= {"deadlines"} if policy.suspend_deadline_ms is not None else set()
    elif outbox in record.indexes:
        expected.add(outbox)
    elif state.status is not Status.DEAD_LETTER:
        expected.add("finished")
    hold(5, record.indexes.keys() == expected, f"{item_id} stands in {record.indexes}, should stand in {expected}")
    if policy.reply_group and state.outcome is not None and outbox not in record.indexes:
        recorded = step.verb == "acknowledge" and item_id in step.args[0]
        earlier = before is not None and before.state.outcome is not None and outbox not in before.indexes
        hold(5, recorded or earlier, f"{item_id} left its outbox by {step.verb}")


def _costs(item_id: str, step: Step, before: Record | None, after: Record) -> None:
    """L7: offers that never arrived and releases cost nothing."""
    if before is None or before.state.status is not Status.CLAIMED:
        return
    lapsed = before.indexes["leases"] <= step.now
    if (step.verb == "sweep" and not before.state.received) or (step.verb == "release" and not lapsed):
        had, has = ((each.state.retry_count, each.state.lease_loss_count) for each in (before, after))
        hold(7, had == has, f"a {step.verb} of {item_id} cost something")


def _superseded_change_nothing(item_id: str, step: Step, before: Record, after: Record) -> None:
    """L6: a report with a superseded token changes nothing but the late outputs; what is due happens all the same."""
    fences = {int(token.fence) for token, *_ in step.verdicts() if token.item_id == item_id and token.fence.isdigit()}
    if not fences or before.state.fence in fences or _is_due(before, step.now):
        return
    kept = [
        {name: value for name, value in each.fields.items() if not name.startswith(LATE)} for each in (before, after)
    ]
    same = (before.state, before.indexes, kept[0]) == (after.state, after.indexes, kept[1])
    hold(6, same, f"a superseded {step.verb} changed {item_id}: {before} became {after}")


def _as_the_table_says(item_id: str, step: Step, before: Status, after: Status) -> None:
    """An item may only go where the events of the step lead, one after the other."""
    events = (*BY_ITSELF, *EVENTS.get(step.verb, ()))
    found, new = set[Status](), {before}
    while new - found:
        found |= new
        new = {status for each in found for event in events for status in TRANSITIONS.get((each, event), ())}
    if after not in found:
        raise AssertionError(f"lifecycle: {item_id} went from {before} to {after} by {step.verb}")


def _is_due(record: Record, now: int) -> bool:
    """Return whether a lease or a deadline has passed that nobody has settled yet."""
    return any(record.indexes.get(name, now + 1) <= now for name in ("leases", "deadlines"))
