"""What is aimed at, beside what was measured. No I/O."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.report import digest
from benchmarks.report.digest import OURS_EMBEDDED, PYTHON_PEERS, Digest
from benchmarks.svg import number

_CALLERS = 16
_CPU_OF_LEASES, _CPU_IDLE = 5.0, 1.0


@dataclass(frozen=True, slots=True)
class Aim:
    """One line of the table."""

    measure: str
    aim: str
    measured: str
    ratio: float
    """Measured by aimed at; at least 1 is met, whichever way the measure points."""


def aims(found: Digest) -> Iterator[Aim]:
    """Yield each aim for which there is a result."""
    yield from _beside_peers(found)
    yield from _at_least("enqueue, batches of 500", 60_000, found.middle(OURS_EMBEDDED, digest.enqueue), "items/s")
    yield from _unary(found)
    for rate, p50, p99 in ((50, 3.0, 8.0), (2000, 10.0, 50.0)):
        for share, most in (("p50", p50), ("p99", p99)):
            measured = found.middle(OURS_EMBEDDED, digest.latency(rate, share))
            yield from _at_most(f"enqueue to outcome at {rate} items/s, {share}", most, measured, "ms")
    yield from _scale(found)
    yield from _at_most(
        "`kill -9` of a worker to its items running elsewhere, lease of 1 s",
        2.0,
        found.middle(OURS_EMBEDDED, digest.recovery),
        "s",
    )


def _beside_peers(found: Digest) -> Iterator[Aim]:
    pick = digest.drain(1)
    ratio = found.ratio("bullmq", pick)
    if ratio is not None:
        yield Aim("drain, one worker process, beside BullMQ", "≥ 1.1 x", f"{number(ratio)} x", ratio / 1.1)
    ratios = {peer: each for peer in PYTHON_PEERS if (each := found.ratio(peer, pick)) is not None}
    if ratios:
        best = min(ratios, key=lambda peer: ratios[peer])
        measured = f"{number(ratios[best])} x ({best})"
        yield Aim("the same, beside the best Python peer", "≥ 6 x", measured, ratios[best] / 6)


def _unary(found: Digest) -> Iterator[Aim]:
    rates = digest.unary_rates(found.scale("unary"), _CALLERS)
    if rates is not None:
        ours, echo = rates
        measured = f"{number(ours / echo)} x ({number(ours)} of {number(echo)} calls/s)"
        yield Aim("unary Claim 1 and Complete 1, beside an echo", "≥ 0.6 x", measured, ours / echo / 0.6)


def _scale(found: Digest) -> Iterator[Aim]:
    backlogs = found.scale("backlog")
    sizes = sorted({each["backlog"] for each in backlogs})
    if sizes:
        small, large = (digest.claim_cost(backlogs, "claim", size) for size in (sizes[0], sizes[-1]))
        if small and large:
            what = f"claim cost with {sizes[-1]:,} items waiting, beside {sizes[0]:,}"
            yield from _at_most(what, 1.2, large / small, "x")
    yield from _at_most(
        "store memory of a waiting item (256-byte payload)", 700, found.middle(OURS_EMBEDDED, digest.stored), "bytes"
    )
    for each in found.scale("streams"):
        what = f"{each['streams']:,} idle worker streams"
        yield from _at_most(f"server memory of one of {what}", 60, each["bytes_per_stream"] / 1000, "kB")
        yield from _at_most(f"server, {what}", 2.0, each["server_cpu_percent"], "% of a core")
    for each in found.scale("cancel"):
        yield from _at_most(f"cancel to the notice of an {each['operator']} handler, p99", 50, each["p99_ms"], "ms")
    for measure, most, what in (
        ("holding", _CPU_OF_LEASES, "server and store, {leases:,} leases held"),
        ("idle", _CPU_IDLE, "server and store, idle"),
    ):
        for each in found.scale(measure):
            share = (each["cpu_share"]["server"] + each["cpu_share"]["store"]) * 100
            yield from _at_most(what.format(leases=each["leases"]), most, share, "% of a core")


def _at_least(measure: str, least: float, measured: float | None, unit: str) -> Iterator[Aim]:
    if measured is not None:
        yield Aim(measure, f"≥ {number(least)} {unit}", f"{number(measured)} {unit}", measured / least)


def _at_most(measure: str, most: float, measured: float | None, unit: str) -> Iterator[Aim]:
    if measured is not None:
        ratio = most / measured if measured else most
        yield Aim(measure, f"≤ {number(most)} {unit}", f"{number(measured)} {unit}", ratio)
