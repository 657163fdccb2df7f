"""docs/performance.md as text. No I/O."""

from collections.abc import Iterator, Sequence

from benchmarks.compare.systems import LEFT_OUT
from benchmarks.report import digest
from benchmarks.report.aims import aims
from benchmarks.report.digest import OURS, Digest, Pick, Record
from benchmarks.report.plots import PLOTS
from benchmarks.svg import number

NOTE = "<!-- Made by `python -m benchmarks.report` from benchmarks/results/published.jsonl; do not edit. -->\n"
NOTHING = "-"
"""Stands where a figure was not taken."""
_LONG_SECONDS = 300.0
"""From how long a load on its growth of memory means anything."""
_PARTS = ("server", "store", "broker", "workers", "client")


def page(found: Digest, reasons: str) -> str:
    """Return the page.

    Args:
        found: the results.
        reasons: why aims are not met.
    """
    lines = [NOTE, "# Performance\n", *_intro(found)]
    lines += ["## Aims\n", *_aims(found), reasons]
    lines += ["## Beside what one might use instead\n", *_peers(found)]
    lines += ["## Processor time\n", *_processor(found)]
    lines += ["## Ours as a backlog grows\n", *_backlogs(found)]
    lines += ["## With a history\n", *_history(found), "## On other stores, with more processes\n", *_ways(found)]
    lines += ["## Idle streams, and cancellations\n", *_streams(found)]
    lines += ["## Unary calls\n", *_unary(found), "## Idle, and with many leases held\n", *_holding(found)]
    lines += ["## Under a load that goes on\n", *_loads(found)]
    lines += ["## How it was measured\n", *_settings(found)]
    return "\n".join(lines)


def _intro(found: Digest) -> Iterator[str]:
    machine = found.hardware
    yield (
        f"Taken on {machine['processor']}, {machine['cores']} cores that everything shares, {machine['memory']},"
        f" {machine['kernel']}, {machine['python']}. Absolute figures do not travel; ratios do, more or less: before"
        " each visit to a peer ours was measured too, and each figure is the median of the rounds.\n"
    )
    if found.is_smoke:
        yield "**These are figures of a smoke run with tiny sizes: they say that the tools work, and nothing else.**\n"


def _aims(found: Digest) -> Iterator[str]:
    yield "| measure | aim | measured | by the aim | |\n|---|---|---|---|---|"
    for aim in aims(found):
        met = "met" if aim.ratio >= 1 else "not met"
        yield f"| {aim.measure} | {aim.aim} | {aim.measured} | {number(aim.ratio)} | {met} |"
    yield ""


def _peers(found: Digest) -> Iterator[str]:
    columns: Sequence[tuple[str, Sequence[Pick]]] = (
        ("drain, 1 worker process, items/s", [digest.drain(1)]),
        ("2 processes", [digest.drain(2)]),
        ("enqueue, items/s", [digest.enqueue]),
        ("enqueue to result at 50/s: p50 / p99, ms", [digest.latency(50, "p50"), digest.latency(50, "p99")]),
        ("at 2,000/s", [digest.latency(2000, "p50"), digest.latency(2000, "p99")]),
        ("bytes an item waiting", [digest.stored]),
        ("`kill -9` to rerun, s", [digest.recovery]),
    )
    yield "Items of 256 bytes, a handler that does nothing, a small result that is kept.\n"
    yield "| system | " + " | ".join(name for name, _ in columns) + " | ours drains |"
    yield "|---" * (len(columns) + 2) + "|"
    for system in found.systems():
        cells = [_cell(found, system, picks) for _, picks in columns]
        yield f"| {system['title']} | {' | '.join(cells)} | {_beside(found, system)} |"
    yield ""
    yield from (f"![{title}](performance/{name}.svg)\n" for name, title in PLOTS.items())
    yield (
        "Ours counts until the outcomes have arrived at the enqueuer, the others until the last handler has run. Most"
        " of them talk to Redis straight from the worker; several have no renewable lease, no fencing, no deadline.\n"
    )


def _cell(found: Digest, system: Record, picks: Sequence[Pick]) -> str:
    figures = [found.middle(system["system"], pick) for pick in picks]
    return " / ".join(NOTHING if figure is None else number(figure) for figure in figures)


def _beside(found: Digest, system: Record) -> str:
    ratio = found.ratio(system["system"], digest.drain(1))
    return "" if system["system"] == OURS or ratio is None else f"{number(ratio)} x"


def _processor(found: Digest) -> Iterator[str]:
    yield "Microseconds an item during the drain with one worker process, from the first run on.\n"
    yield "| system | " + " | ".join(_PARTS) + " |"
    yield "|---" * (len(_PARTS) + 1) + "|"
    for system in found.systems():
        cells = [_cell(found, system, [digest.processor(part)]) for part in _PARTS]
        yield f"| {system['title']} | {' | '.join(cells)} |"
    yield ""


def _backlogs(found: Digest) -> Iterator[str]:
    records = found.scale("backlog")
    if not records:
        return
    steps = list(records[0]["store_cpu_us"])
    yield (
        "Microseconds of the store's processor for one item, in batches of 100, while the store does not rewrite its"
        " file; a sweep is one call.\n"
    )
    yield "| items waiting | " + " | ".join(steps) + " | bytes an item waiting |"
    yield "|---" * (len(steps) + 2) + "|"
    for backlog in sorted({each["backlog"] for each in records}):
        costs = [digest.claim_cost(records, step, backlog) or 0.0 for step in steps]
        size = next(each["bytes_per_waiting_item"] for each in records if each["backlog"] == backlog)
        yield f"| {backlog:,} | {' | '.join(map(number, costs))} | {number(size)} |"
    yield ""


def _history(found: Digest) -> Iterator[str]:
    for each in found.scale("history"):
        a_day, size = each["finished"] / 86_400, number(each["bytes_per_finished_item"])
        purged, cost = number(each["purged_per_s"]), number(each["purge_cpu_us"])
        yield (
            f"{each['finished']:,} items that have finished and been acknowledged are kept beside the work, as after a"
            f" day of {a_day:.1f} items a second. One takes {size} bytes. Once they are due, retention lets {purged} a"
            f" second go, at {cost} microseconds of the store's processor each.\n"
        )
        steps = list(each["store_cpu_us"])
        yield "| microseconds of the store's processor | " + " | ".join(steps) + " |"
        yield "|---" * (len(steps) + 1) + "|"
        for title, costs in (("without a history", "store_cpu_us_without"), ("beside it", "store_cpu_us")):
            yield f"| {title} | {' | '.join(number(each[costs][step]) for step in steps)} |"
        yield ""


def _ways(found: Digest) -> Iterator[str]:
    yield "A backlog over 12 topics, two worker processes, everything on the cores of one machine.\n"
    parts = ("server", "store", "workers", "enqueuer")
    yield (
        "| store and server | drain, items/s | enqueue, items/s | " + " | ".join(f"{part}, us" for part in parts) + " |"
    )
    yield "|---" * (len(parts) + 3) + "|"
    for each in found.scale("ways"):
        cells = [
            each["drained_per_s"],
            each["enqueued_per_s"],
            *(each["cpu_us_per_item"].get(part, 0) for part in parts),
        ]
        yield f"| {each['way']} | {' | '.join(map(number, cells))} |"
    yield ""


def _streams(found: Digest) -> Iterator[str]:
    for each in found.scale("streams"):
        yield (
            f"{each['streams']:,} idle worker streams take {number(each['bytes_per_stream'] / 1000)} kB each in the"
            f" server, {number(each['server_cpu_percent'])} % of a core there and"
            f" {number(each['store_cpu_percent'])} % in the store.\n"
        )
    for each in found.scale("cancel"):
        yield (
            f"From the Cancel call until an {each['operator']} handler that never heartbeats notices: p50"
            f" {number(each['p50_ms'])} ms, p99 {number(each['p99_ms'])} ms, longest {number(each['longest_ms'])} ms.\n"
        )


def _unary(found: Digest) -> Iterator[str]:
    records = found.scale("unary")
    yield "| callers | Claim 1 and Complete 1, calls/s | echo on grpc.aio, calls/s | ratio |\n|---|---|---|---|"
    for callers in sorted({each["callers"] for each in records}):
        if (rates := digest.unary_rates(records, callers)) is not None:
            ours, echo = rates
            yield f"| {callers} | {number(ours)} | {number(echo)} | {number(ours / echo)} |"
    yield ""


def _holding(found: Digest) -> Iterator[str]:
    yield "| leases held | for, s | server, % of a core | store | worker | server memory, MiB |"
    yield "|---|---|---|---|---|---|"
    for each in [*found.scale("idle"), *found.scale("holding")]:
        shares = [number(each["cpu_share"][part] * 100) for part in ("server", "store", "worker")]
        memory = number(each["resident_bytes"]["server"] / 2**20)
        yield f"| {each['leases']:,} | {number(each['seconds'])} | {' | '.join(shares)} | {memory} |"
    yield ""


def _loads(found: Digest) -> Iterator[str]:
    yield "Arrivals wait for nobody; every item ended exactly once unless it says otherwise.\n"
    yield (
        "| `make load PROFILE=` | items | at, items/s | for, s | enqueue to outcome: p50 / p99, ms |"
        " memory grows, MiB a minute: server / store / worker | |"
    )
    yield "|---" * 7 + "|"
    for each in found.loads():
        settings, accounts, minutes = each["settings"], each["accounts"], each["memory_slope"]
        spreads = [
            f"{name} {number(spread['p50'])} / {number(spread['p99'])}" if spread else name
            for name, spread in each["latencies"].items()
        ]
        grows = (
            " / ".join(f"{minutes[part] / 2**20:.2f}" for part in ("server", "store", "workers"))
            if settings["duration"] >= _LONG_SECONDS
            else NOTHING
        )
        remarks = list(accounts["problems"])
        if each["drained_after"] is not None:
            remarks.append(f"done {number(each['drained_after'])} s after the workers were back")
        cells = [each["profile"], f"{accounts['ended']:,} of {accounts['items']:,}", number(settings["rate"])]
        cells += [number(settings["duration"]), ", ".join(spreads), grows, "; ".join(remarks)]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _settings(found: Digest) -> Iterator[str]:
    yield "```\nmake bench          # peers into environments of their own, then everything on this page\n"
    yield "make bench-smoke    # tiny sizes of the same\nmake load PROFILE=steady ARGS='--rate 2000'\n```\n"
    yield "The peers' Redis writes its file every second (`appendfsync everysec`), as does our store.\n"
    yield "| system | versions | settings |\n|---|---|---|"
    for system in found.systems():
        versions = ", ".join(f"{name} {version}" for name, version in system["versions"].items())
        yield f"| {system['title']} | {versions} | {system['settings']} |"
    yield "\nOurs: " + ", ".join(f"{name} {version}" for name, version in found.hardware.items()) + ".\n"
    yield from (f"{name} is not here: {why}.\n" for name, why in LEFT_OUT.items())
    if problems := found.problems():
        yield "Not as it should be in this run:\n"
        yield from (f"- {problem}" for problem in problems)
        yield ""
