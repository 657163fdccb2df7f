"""L1, L2, L7, L12: what leases and tokens promise."""

import math
from collections import defaultdict

from chaos.evidence import DECIDING, Evidence, Grant, ItemStory, is_accepted, is_refused
from chaos.history import Call
from chaos.judgement import Judgement

_SLACK = 0.002
_TOKENS_REMEMBERED = 16
_SAME_AGAIN = ("reason", "status", "retry_s", "late_kept")


def one_lease_at_a_time(evidence: Evidence) -> Judgement:
    """L1: nobody is told of a new lease while an earlier one must still run."""
    judgement = Judgement("L1 one lease at a time")
    for item, story in evidence.items.items():
        ends = held_until(story, evidence)
        longest: Grant | None = None
        for grant in story.grants:
            if longest is not None:
                until = ends[longest.token]
                judgement.check(
                    grant.told >= until - _SLACK,
                    f"{item}: {grant.worker} was told of fence {grant.fence} at {grant.told:.3f}, while"
                    f" {longest.worker} held {longest.fence} from {longest.granted:.3f} until {until:.3f} at least",
                )
            # A handler of the SDK does not know how long its lease runs, so it proves nothing here.
            if not grant.worker.startswith("sdk") and (longest is None or ends[grant.token] > ends[longest.token]):
                longest = grant
    return judgement


def held_until(story: ItemStory, evidence: Evidence) -> dict[str, float]:
    """Return until when each lease certainly runs: from its earliest grant, unless something may have ended it."""
    until = {grant.token: grant.granted + grant.lease_s for grant in story.grants}
    ends = dict.fromkeys(until, min([call.start for call in story.cancels], default=math.inf))
    deadline = (story.final or {}).get("deadline_ms")
    for grant in story.grants:
        if grant.timeout_s is not None:
            ends[grant.token] = min(ends[grant.token], grant.granted + grant.timeout_s)
        if deadline is not None:
            ends[grant.token] = min(ends[grant.token], evidence.since(deadline) or grant.granted)
    for report in story.reports:
        token = report.request["token"]
        if report.op == "heartbeat" and is_accepted(report):
            until[token] = max(until.get(token, 0.0), report.start + (report.answer or {}).get("lease_s", 0.0))
        elif report.op in DECIDING and not is_refused(report):
            ends[token] = min(ends.get(token, math.inf), report.start)
    return {token: min(until[token], ends.get(token, math.inf)) for token in until}


def fences_increase(evidence: Evidence) -> Judgement:
    """L2: a later claim has a larger fence, and no two claims share one."""
    judgement = Judgement("L2 fences increase")
    for item, story in evidence.items.items():
        fences = [grant.fence for grant in story.grants]
        judgement.check(len(set(fences)) == len(fences), f"{item}: two leases have the same fence: {fences}")
        asked_last: Grant | None = None
        for grant in story.grants:
            if asked_last is not None:
                judgement.check(
                    grant.told >= asked_last.asked,
                    f"{item}: fence {asked_last.fence} was asked for after the larger {grant.fence} had been given",
                )
            if asked_last is None or grant.asked > asked_last.asked:
                asked_last = grant
        final = story.final
        if final is not None and fences:
            judgement.check(
                final["fence"] >= max(fences), f"{item}: ends with fence {final['fence']} after {max(fences)}"
            )
    return judgement


def budgets_hold(evidence: Evidence) -> Judgement:
    """L7: no more retries than the budget, no more lost leases in a row than their cap, between replays."""
    judgement = Judgement("L7 budgets hold")
    for item, story in evidence.items.items():
        if not story.enqueues:
            continue
        budget, losses = story.enqueues[0].request["budget"], story.enqueues[0].request["losses"]
        for grant in story.grants:
            judgement.check(
                grant.attempt <= budget + 1, f"{item}: attempt {grant.attempt} with {budget} retries allowed"
            )
        if (final := story.final) is None:
            continue
        judgement.check(final["retry_count"] <= budget, f"{item}: {final['retry_count']} retries of {budget}")
        judgement.check(final["lease_loss_count"] <= losses, f"{item}: {final['lease_loss_count']} losses of {losses}")
        retried = {
            report.request["token"]
            for report in story.reports
            if report.op == "fail" and is_accepted(report) and "retry_s" in (report.answer or {})
        }
        allowed = budget * (final["replay_count"] + 1)
        judgement.check(len(retried) <= allowed, f"{item}: {len(retried)} failures were retried, {allowed} allowed")
    return judgement


def first_report_decides(evidence: Evidence) -> Judgement:
    """L12: the same report again gets the same answer, and no token is accepted for two different ones."""
    judgement = Judgement("L12 first report decides")
    for item, story in evidence.items.items():
        remembered = {grant.token for grant in story.grants[-_TOKENS_REMEMBERED:]}
        answers: dict[tuple[str, str, str], list[tuple[object, ...]]] = defaultdict(list)
        finishes: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for report in _decided(story):
            token, body, answer = report.request["token"], report.request["body"], report.answer or {}
            if token in remembered:
                answers[token, report.op, body].append(tuple(answer.get(name) for name in _SAME_AGAIN))
            # After a release, work that was finished all the same still counts.
            if is_accepted(report) and report.op != "release":
                finishes[token].add((report.op, body))
        for (token, op, _), told in answers.items():
            if len(told) > 1:
                judgement.check(
                    len(set(told)) == 1, f"{item}: {op} with {token} was answered {sorted(set(told), key=str)}"
                )
        for token, ways in finishes.items():
            judgement.check(len(ways) <= 1, f"{item}: {token} was accepted as {sorted(ways)}")
    return judgement


def _decided(story: ItemStory) -> list[Call]:
    return [report for report in story.reports if report.op in DECIDING and report.answered]


ALL = (one_lease_at_a_time, fences_increase, budgets_hold, first_report_decides)
