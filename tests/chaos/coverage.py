"""Whether a run was worth its verdict: enough items, every fault seen to bite, every rare event seen to happen."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from chaos.evidence import DECIDING, Evidence, is_accepted
from chaos.history import Call
from chaos.judgement import Judgement
from chaos.plan import Kind

_AFTER_SECONDS = 3.0
_NOTICEABLE_SECONDS = 0.2


def bites(evidence: Evidence) -> dict[str, tuple[int, int]]:
    """Return for each kind of fault how often it was injected, and how often it was seen to bite."""
    injected: Counter[str] = Counter()
    bitten: Counter[str] = Counter()
    for fault in evidence.faults:
        kind = fault.request["kind"]
        injected[kind] += 1
        bitten[kind] += _BITES[Kind(kind)](evidence, fault)
    return {kind.value: (injected[kind.value], bitten[kind.value]) for kind in Kind}


def events(evidence: Evidence) -> dict[str, int]:
    """Return how often each rare event happened."""
    reports = [report for story in evidence.items.values() for report in story.reports]
    reasons = Counter((report.answer or {}).get("reason") for report in reports)
    finals = [story.final for story in evidence.items.values()]
    ends = Counter(attempt["end"] for final in finals if final is not None for attempt in final["attempts"])
    kinds = Counter(final["outcome"]["kind"] for final in finals if final is not None and final["outcome"])
    return {
        "leases lost": ends["LEASE_LOST"],
        "reports SUPERSEDED": reasons["SUPERSEDED"],
        "late completes accepted": _late_completes(evidence),
        "suspend deadlines fired": kinds["TIMED_OUT"],
        "reports repeated unanswered": sum(1 for report in reports if not report.answered),
    }


def finished(evidence: Evidence) -> int:
    """Return how many items ended as the watcher saw it."""
    return sum(1 for story in evidence.items.values() if story.outcomes)


def covers(evidence: Evidence, judgements: list[Judgement], least_finished: int) -> list[str]:
    """Return why a run proves too little; empty if it proves enough."""
    gaps = [
        f"fault {kind} was injected {count} times and never seen to bite"
        for kind, (count, bitten) in bites(evidence).items()
        if not bitten
    ]
    gaps += [f"{name}: none happened" for name, count in events(evidence).items() if not count]
    gaps += [f"{each.promise}: nothing could be checked" for each in judgements if not each.checked]
    if finished(evidence) < least_finished:
        gaps.append(f"{finished(evidence)} items finished, {least_finished} wanted")
    return gaps


def _late_completes(evidence: Evidence) -> int:
    """Count completes that were accepted although their lease had been taken away."""
    count = 0
    for story in evidence.items.values():
        lost = {each["fence"] for each in (story.final or {}).get("attempts", []) if each["end"] == "LEASE_LOST"}
        completes = {
            report.request["fence"] for report in story.reports if report.op == "complete" and is_accepted(report)
        }
        count += len(lost & completes)
    return count


def _signalled(evidence: Evidence, fault: Call) -> bool:
    return bool((fault.answer or {}).get("signalled"))


def _died(evidence: Evidence, fault: Call) -> bool:
    """A server was ended, and a call that was under way or came next failed."""
    return _signalled(evidence, fault) and _failed(evidence, fault, ("grpc.", "STORE_"))


def _store_missed(evidence: Evidence, fault: Call) -> bool:
    return _failed(evidence, fault, ("STORE_",))


def _failed(evidence: Evidence, fault: Call, names: tuple[str, ...]) -> bool:
    until = (fault.end or fault.start) + _AFTER_SECONDS
    for call in evidence.calls:
        error = str((call.answer or {}).get("error", ""))
        if error.startswith(names) and call.end is not None and fault.start <= call.end <= until:
            return True
    return False


def _waited(evidence: Evidence, fault: Call) -> bool:
    """A report that was under way took as long as the fault left it no other choice."""
    end = fault.end or fault.start
    for call in evidence.calls:
        if call.op in {"enqueue", "complete", "heartbeat"} and call.end is not None:
            overlap = min(end, call.end) - max(fault.start, call.start)
            if overlap >= _NOTICEABLE_SECONDS:
                return True
    return False


def _lost_leases(evidence: Evidence, fault: Call) -> bool:
    """What the worker held when it was stopped or killed went to another claim."""
    worker = f"{fault.request['target']}.{fault.request['life']}"
    for story in evidence.items.values():
        decided = {call.request["token"] for call in story.reports if call.op in DECIDING and call.start < fault.start}
        for grant, later in pairwise(story.grants):
            held = grant.worker == worker and grant.told <= fault.start and grant.token not in decided
            if held and later.granted > fault.start:
                return True
    return False


def _counted(name: str) -> Callable[[Evidence, Call], bool]:
    return lambda _evidence, fault: bool((fault.answer or {}).get(name))


_BITES: dict[Kind, Callable[[Evidence, Call], bool]] = {
    Kind.KILL_SERVER: _died,
    Kind.STOP_SERVER: _died,
    Kind.PAUSE_SERVER: _waited,
    Kind.KILL_WORKER: _lost_leases,
    Kind.PAUSE_WORKER: _lost_leases,
    Kind.KILL_STORE: _store_missed,
    Kind.PAUSE_STORE: _waited,
    Kind.SCRIPT_FLUSH: _counted("missing_scripts"),
    Kind.CUT_LINK: _counted("severed"),
    Kind.DELAY_LINK: _counted("delayed"),
    Kind.HALF_OPEN_LINK: _counted("swallowed"),
    Kind.CUT_STORE_LINK: _counted("severed"),
    Kind.HALF_OPEN_STORE_LINK: _counted("swallowed"),
}
