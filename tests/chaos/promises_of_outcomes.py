"""L3, L4, L6 and the watcher's view: what enqueues, reports and outcomes promise."""

from typing import Any

from chaos.evidence import Evidence, ItemStory, is_accepted, is_refused
from chaos.judgement import Judgement

_ENDS = {"complete": "COMPLETED", "fail": "FAILED", "business_error": "BUSINESS_ERROR", "release": "RELEASED"}
"""What the end of an attempt is called when a report made it."""
_COMPARED = ("kind", "output", "error", "business", "retry_count", "worker", "at_ms")


def one_outcome(evidence: Evidence) -> Judgement:
    """L3: at most one report ends an item, and the outcome is what it said."""
    judgement = Judgement("L3 one outcome")
    for item, story in evidence.items.items():
        finishing = [call for call in story.reports if call.op in {"complete", "business_error"} and is_accepted(call)]
        ways = {(call.request["token"], call.op, call.request["body"]) for call in finishing}
        judgement.check(len(ways) <= 1, f"{item}: more than one report was accepted: {sorted(ways)}")
        final = story.final
        if final is None:
            continue
        outcome = final["outcome"]
        for call in finishing[:1]:
            judgement.check(
                _tells(outcome, call.op, call.request["body"]), f"{item}: {call.op} accepted, yet {outcome}"
            )
        if outcome is not None and outcome["kind"] == "COMPLETED":
            judgement.check(
                _could_produce(story, outcome["output"]), f"{item}: nobody can have said {outcome['output']}"
            )
        if outcome is not None:
            after = [grant.fence for grant in story.grants if grant.fence / 1000 > outcome["at_ms"] + 1]
            judgement.check(not after, f"{item}: claimed after its outcome, with fences {after}")
    return judgement


def _tells(outcome: dict[str, Any] | None, op: str, body: str) -> bool:
    if outcome is None:
        return False
    if op == "business_error":
        return bool(outcome["kind"] == "FAILED" and outcome["business"])
    return bool(outcome["kind"] == "COMPLETED" and outcome["output"] == body)


def _could_produce(story: ItemStory, output: str) -> bool:
    """Return whether some report, not refused, or some handler said this output."""
    said = [call for call in story.reports if call.op == "complete" and call.request["body"] == output]
    # A repeated report may be refused only if the first was too, so one refusal of a token settles it.
    if said and not any(is_refused(call) for call in said):
        return True
    return any(call.request["body"] == output for call in story.runs)


def enqueues_last(evidence: Evidence) -> Judgement:
    """L4: what was acknowledged is there at the end."""
    judgement = Judgement("L4 enqueues last")
    for item, story in evidence.items.items():
        if story.acknowledged:
            errors = [call.answer.get("error") for call in story.finals if call.answer is not None]
            judgement.check(story.final is not None, f"{item}: acknowledged, and at the end {errors or 'not read'}")
    return judgement


def superseded_reports_change_nothing(evidence: Evidence) -> Judgement:
    """L6: a refused report leaves no trace but its late output."""
    judgement = Judgement("L6 refused changes nothing")
    for item, story in evidence.items.items():
        final = story.final
        if final is None:
            continue
        possible = {(call.op, call.request["token"]) for call in story.reports if not is_refused(call)}
        for report in story.reports:
            if report.op == "heartbeat" or not is_refused(report):
                continue
            answer, fence = report.answer or {}, report.request["fence"]
            if report.op == "complete":
                kept = not (final["outcome"] and final["outcome"]["output"] == report.request["body"])
                judgement.check(kept, f"{item}: a complete refused as {answer['reason']} is the outcome all the same")
            if answer["reason"] != "SUPERSEDED":
                continue
            judgement.check(final["fence"] > fence, f"{item}: {fence} was called SUPERSEDED, yet nobody claimed later")
            traces = [end for end in final["attempts"] if end["fence"] == fence and end["end"] == _ENDS[report.op]]
            other = (report.op, report.request["token"]) in possible
            judgement.check(other or not traces, f"{item}: a superseded {report.op} of {fence} ended its attempt")
    return judgement


def watchers_see_one_end(evidence: Evidence) -> Judgement:
    """The watcher sees one outcome for each item: redeliveries are equal, and it is the one the item ends with."""
    judgement = Judgement("watchers see one end")
    for item, story in evidence.items.items():
        if not story.acknowledged:
            continue
        seen = {tuple((call.answer or {}).get(name) for name in _COMPARED) for call in story.outcomes}
        judgement.check(
            len(seen) == 1, f"{item}: the watcher saw {len(seen)} different outcomes: {sorted(seen, key=str)}"
        )
        final = story.final
        if final is not None and final["outcome"] is not None and seen:
            last = tuple(final["outcome"].get(name) for name in _COMPARED)
            judgement.check(
                seen == {last}, f"{item}: the watcher saw {sorted(seen, key=str)}, the item ends with {last}"
            )
    return judgement


def indexes_rest(evidence: Evidence) -> Judgement:
    """L5: once every item has ended and every outcome is acknowledged, nothing waits anywhere."""
    judgement = Judgement("L5 nothing left behind")
    for call in evidence.calls:
        if call.op == "at_rest":
            for index, count in (call.answer or {}).items():
                judgement.check(count == 0, f"{call.request['topic']}: {count} left in {index}")
    return judgement


def nothing_breaks(evidence: Evidence) -> Judgement:
    """No call is answered INTERNAL: outages have reasons of their own."""
    judgement = Judgement("no call breaks a server")
    for call in evidence.calls:
        if call.answer is not None and call.op not in {"died", "fault"}:
            error = call.answer.get("error")
            judgement.check(
                error not in {"INTERNAL", "grpc.UNKNOWN"}, f"{call.client}: {call.op} at {call.start:.3f}: {error}"
            )
    return judgement


ALL = (
    one_outcome,
    enqueues_last,
    superseded_reports_change_nothing,
    indexes_rest,
    watchers_see_one_end,
    nothing_breaks,
)
