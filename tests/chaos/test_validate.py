"""Each validator holds its tongue on a good history and speaks on a bad one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2
from chaos import promises_of_leases as leases
from chaos import promises_of_outcomes as outcomes
from chaos import promises_of_time as times
from chaos.calls import verdict_facts
from chaos.evidence import Evidence
from chaos.history import Call
from chaos.judgement import Judgement
from chaos.validate import judge

OFFSET = 1_000_000.0
"""The store's clock minus the monotonic one."""
ITEM, OTHER_WORKER = "i-1", "unary-2.1"
BODY = '{"said":1}'


def fence(at: float) -> int:
    """Return the fence of a claim at an instant."""
    return round((at + OFFSET) * 1_000_000)


def ms(at: float) -> int:
    """Return an instant on the store's clock."""
    return round((at + OFFSET) * 1000)


def call(op: str, start: float, end: float, answer: dict[str, Any] | None = None, **request: Any) -> Call:
    """Return a call about the item."""
    return Call("client", op, start, end, {"item": ITEM, **request}, answer)


def claim(at: float, *, worker: str = "unary-1.1", number: int | None = None, **lease: Any) -> Call:
    """Return a claim that was answered at an instant."""
    own = fence(at) if number is None else number
    told = {"item": ITEM, "fence": own, "token": f"{own}/n", "lease_s": 1.0, "timeout_s": None, "attempt": 1, **lease}
    return Call("client", "claim", at - 0.001, at + 0.001, {"worker": worker, "mode": "unary"}, {"leases": [told]})


def report(
    op: str, start: float, claimed: float, reason: str | None = "ACCEPTED", body: str = BODY, **answer: Any
) -> Call:
    """Return a report on the claim of an instant; without a reason it was never answered."""
    told = None if reason is None else {"reason": reason, "status": "DONE", **answer}
    token = {"fence": fence(claimed), "token": f"{fence(claimed)}/n"}
    return call(op, start, start + 0.001, told, **token, body=body)


def enqueue(**facts: Any) -> Call:
    """Return an acknowledged enqueue."""
    request = {"budget": 1, "losses": 3, "suspend_s": None, **facts}
    return call("enqueue", 0.0, 0.1, {"created": True, "refused": ""}, **request)


def outcome(at: float, kind: str = "COMPLETED", output: str = BODY) -> dict[str, Any]:
    """Return an outcome."""
    facts = {"error": "", "business": "", "retry_count": 0, "worker": "unary-1.1"}
    return {"kind": kind, "output": output, "at_ms": ms(at), **facts}


def final(**changed: Any) -> Call:
    """Return an item's end: completed by its first claim, unless told otherwise."""
    facts = {
        "status": "DONE",
        "fence": fence(1.0),
        "retry_count": 0,
        "lease_loss_count": 0,
        "replay_count": 0,
        "dead_reason": "",
        "deadline_ms": None,
        "outcome": outcome(1.5),
        "late_fences": [],
        "attempts": [],
    }
    return call("final", 50.0, 50.1, facts | changed)


def seen(at: float, **changed: Any) -> Call:
    """Return an outcome as the watcher saw it."""
    return call("outcome", at, at, outcome(1.5) | changed)


def attempt(
    claimed: float, end: str, ended: float, due: float | None = None, worker: str = "unary-1.1"
) -> dict[str, Any]:
    """Return an entry of an item's history."""
    due_ms = None if due is None else ms(due)
    facts = {"attempt": 1, "fence": fence(claimed), "worker": worker, "message": ""}
    return {**facts, "end": end, "claim_ms": ms(claimed), "end_ms": ms(ended), "due_ms": due_ms}


def died(at: float) -> Call:
    """Return the death of the first worker."""
    return Call("harness", "died", at, at, {"process": "unary-1", "life": 1, "code": -9}, {})


def fault(kind: str, start: float, end: float, target: str = "store") -> Call:
    """Return a fault."""
    return Call("nemesis", "fault", start, end, {"kind": kind, "target": target, "life": 1}, {})


CLOCK = Call("harness", "clock", 0.0, 0.0, {"offset": OFFSET}, {})
GOOD = [CLOCK, enqueue(), claim(1.0), report("complete", 1.5, 1.0), seen(1.6), final()]


def told(validator: Callable[[Evidence], Judgement], *calls: Call) -> list[str]:
    """Return the violations that a validator finds."""
    return validator(Evidence([CLOCK, *calls])).violations


def test_a_good_history_is_good() -> None:
    """An item that is enqueued, claimed, completed and seen breaks nothing."""
    judgements = judge(Evidence(GOOD))
    assert not [judgement for judgement in judgements if judgement.violations]
    assert sum(judgement.checked for judgement in judgements) > 0


def test_overlapping_leases() -> None:
    """L1: a second worker is told of a lease 0.5 s into the first one's second."""
    second = claim(1.5, worker=OTHER_WORKER)
    assert told(leases.one_lease_at_a_time, claim(1.0), second)
    assert not told(leases.one_lease_at_a_time, claim(1.0), claim(2.1, worker=OTHER_WORKER))


def test_a_heartbeat_makes_a_lease_longer() -> None:
    """L1: what is no overlap without a heartbeat is one with it."""
    second = claim(2.1, worker=OTHER_WORKER)
    accepted = report("heartbeat", 1.8, 1.0, lease_s=1.0)
    refused = report("heartbeat", 1.8, 1.0, reason="SUPERSEDED")
    assert told(leases.one_lease_at_a_time, claim(1.0), accepted, second)
    assert not told(leases.one_lease_at_a_time, claim(1.0), refused, second)


@pytest.mark.parametrize("reason", ["ACCEPTED", None])
def test_a_report_may_have_ended_a_lease(reason: str | None) -> None:
    """L1: a release that was accepted, or may have been, explains the next claim; a refused one does not."""
    second = claim(1.5, worker=OTHER_WORKER)
    assert not told(leases.one_lease_at_a_time, claim(1.0), report("release", 1.2, 1.0, reason=reason), second)
    assert told(leases.one_lease_at_a_time, claim(1.0), report("release", 1.2, 1.0, reason="INVALID_TOKEN"), second)


def test_a_long_poll_proves_no_more_than_it_can() -> None:
    """L1: without the store's clock a lease is only sure to run from when it was asked for."""
    waited = replace(claim(1.0), start=0.2)
    second = claim(1.5, worker=OTHER_WORKER)
    assert told(leases.one_lease_at_a_time, waited, second)
    assert not leases.one_lease_at_a_time(Evidence([waited, second])).violations


def test_fences_that_do_not_increase() -> None:
    """L2: a later claim with a smaller fence, two claims with one fence, an item that ends below a fence."""
    assert told(leases.fences_increase, claim(1.0), claim(5.0, number=fence(0.5)))
    assert told(leases.fences_increase, claim(1.0, token="a"), claim(5.0, number=fence(1.0), token="b"))
    assert told(leases.fences_increase, claim(1.0), final(fence=fence(0.9)))
    assert not told(leases.fences_increase, claim(1.0), claim(1.0), claim(5.0))


def test_a_handler_that_starts_late_proves_nothing() -> None:
    """L2: a worker that was stopped starts a handler for an old offer, long after others claimed the item."""
    old = {"fence": fence(1.0), "token": f"{fence(1.0)}/n", "worker": "sdk-1.1", "body": BODY}
    assert not told(leases.fences_increase, claim(2.0), call("run", 4.0, 4.1, {}, **old))


def test_two_accepted_reports() -> None:
    """L3: completes of two claims are accepted."""
    again = report("complete", 5.5, 5.0, body="other")
    assert told(outcomes.one_outcome, *GOOD, claim(5.0), again)


def test_an_outcome_that_nobody_said() -> None:
    """L3: the outcome is not what was accepted, and not what anybody reported."""
    assert told(outcomes.one_outcome, report("complete", 1.5, 1.0), final(outcome=outcome(1.5, output="invented")))
    assert told(outcomes.one_outcome, final(outcome=outcome(1.5, output="invented")))
    assert told(outcomes.one_outcome, report("complete", 1.5, 1.0), final(outcome=outcome(1.5, kind="TIMED_OUT")))


def test_an_unanswered_complete_explains_an_outcome() -> None:
    """L3: an output may come from a report whose answer was lost."""
    assert not told(outcomes.one_outcome, report("complete", 1.5, 1.0, reason=None), final())


def test_a_verdict_of_a_store_that_is_away_says_nothing() -> None:
    """A report that could not be judged may have been carried out all the same."""
    away = verdict_facts(lease_pb2.Verdict(reason=Reason.STORE_UNAVAILABLE.number))
    assert not replace(report("complete", 1.5, 1.0), answer=away).answered


def test_a_claim_after_the_outcome() -> None:
    """L3: an item that has ended is given to nobody."""
    assert told(outcomes.one_outcome, claim(9.0), report("complete", 1.5, 1.0), final())


def test_an_enqueue_that_was_lost() -> None:
    """L4: what was acknowledged must be there; what never was need not."""
    gone = call("final", 50.0, 50.1, {"error": "NOT_FOUND"})
    assert told(outcomes.enqueues_last, enqueue(), gone)
    assert not told(outcomes.enqueues_last, replace(enqueue(), answer={"error": "grpc.UNAVAILABLE"}), gone)


def test_a_refused_report_that_counted() -> None:
    """L6: a superseded complete is the outcome, a superseded failure ended its attempt, nobody had superseded it."""
    late = report("complete", 1.5, 1.0, reason="SUPERSEDED")
    assert told(outcomes.superseded_reports_change_nothing, late, final(fence=fence(3.0)))
    failure = report("fail", 1.5, 1.0, reason="SUPERSEDED")
    ended = [attempt(1.0, "FAILED", 1.5)]
    assert told(outcomes.superseded_reports_change_nothing, failure, final(fence=fence(3.0), attempts=ended))
    assert told(outcomes.superseded_reports_change_nothing, failure, final())
    assert not told(outcomes.superseded_reports_change_nothing, failure, final(fence=fence(3.0)))


def test_a_budget_that_is_overdrawn() -> None:
    """L7: an attempt, a retry count, a loss count or the accepted failures go beyond the policy."""
    assert told(leases.budgets_hold, enqueue(budget=1), claim(1.0, attempt=3))
    assert told(leases.budgets_hold, enqueue(budget=1), final(retry_count=2))
    assert told(leases.budgets_hold, enqueue(losses=0), final(lease_loss_count=1))
    failures = [report("fail", at + 0.1, at, retry_s=0.1) for at in (1.0, 2.0)]
    assert told(leases.budgets_hold, enqueue(budget=1), *failures, final())
    assert not told(leases.budgets_hold, enqueue(budget=1), *failures, final(replay_count=1))


def test_a_report_that_is_answered_in_two_ways() -> None:
    """L12: the same report gets two answers, or two different reports are accepted; a finish after a release may be."""
    first, other = report("complete", 1.5, 1.0), report("fail", 1.7, 1.0)
    assert told(leases.first_report_decides, claim(1.0), first, report("complete", 1.6, 1.0, reason="SUPERSEDED"))
    assert told(leases.first_report_decides, claim(1.0), first, other)
    assert not told(leases.first_report_decides, claim(1.0), report("release", 1.2, 1.0), first)


def test_a_dead_worker_that_keeps_its_items() -> None:
    """L8: claimable again more than lease + 1 s after the death; outages are left aside."""
    slow = final(attempts=[attempt(1.0, "LEASE_LOST", 3.9, due=4.2)])
    quick = final(attempts=[attempt(1.0, "LEASE_LOST", 3.0, due=3.4)])
    assert told(times.dead_workers_lose_their_items, claim(1.0), died(2.0), slow)
    assert not told(times.dead_workers_lose_their_items, claim(1.0), died(2.0), quick)
    assert not told(times.dead_workers_lose_their_items, claim(1.0), died(2.0), slow, fault("kill_store", 2.5, 2.5))


def test_one_server_without_store_is_no_excuse() -> None:
    """L8: the other server is up; only both together are an outage."""
    slow = final(attempts=[attempt(1.0, "LEASE_LOST", 3.9, due=4.2)])
    first, second = (fault("cut_store_link", 2.2, 2.9, target) for target in ("server-a", "server-b"))
    assert told(times.dead_workers_lose_their_items, died(2.0), slow, first)
    assert not told(times.dead_workers_lose_their_items, died(2.0), slow, first, second)


def test_a_deadline_that_fires_late_or_early() -> None:
    """L11: TIMED_OUT comes 0.4 s late, or too early, or another outcome comes after the deadline."""
    late = final(deadline_ms=ms(5.0), outcome=outcome(5.4, "TIMED_OUT"))
    assert told(times.deadlines_fire, late)
    assert not told(times.deadlines_fire, late, fault("pause_store", 4.9, 5.5))
    assert told(times.deadlines_fire, final(deadline_ms=ms(5.0), outcome=outcome(4.9, "TIMED_OUT")))
    assert told(times.deadlines_fire, final(deadline_ms=ms(5.0), outcome=outcome(5.1)))
    assert not told(times.deadlines_fire, final(deadline_ms=ms(5.0), outcome=outcome(5.1, "TIMED_OUT")))


def test_an_end_that_is_seen_twice_in_two_ways() -> None:
    """The watcher sees another outcome on redelivery, none at all, or not the one that the item ends with."""
    assert told(outcomes.watchers_see_one_end, enqueue(), seen(1.6), seen(1.7, output="other"))
    assert told(outcomes.watchers_see_one_end, enqueue())
    assert told(outcomes.watchers_see_one_end, enqueue(), seen(1.6, output="other"), final())
    assert not told(outcomes.watchers_see_one_end, enqueue(), seen(1.6), seen(1.7), final())


def test_what_is_left_in_an_index() -> None:
    """L5: an index that is not empty at rest."""
    rest = Call("harness", "at_rest", 60.0, 60.0, {"topic": "t"}, {"ready": 0, "leases": 1})
    assert told(outcomes.indexes_rest, rest)
    assert not told(outcomes.indexes_rest, replace(rest, answer={"ready": 0}))


def test_a_call_that_breaks_a_server() -> None:
    """INTERNAL is told; an outage is not."""
    assert told(outcomes.nothing_breaks, call("complete", 1.0, 1.1, {"error": "INTERNAL"}))
    assert not told(outcomes.nothing_breaks, call("complete", 1.0, 1.1, {"error": "STORE_UNAVAILABLE"}))
