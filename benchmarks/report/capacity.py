"""docs/capacity.md as text: what one of each part carries, what to add when, and the arithmetic. No I/O."""

from collections.abc import Iterator
from math import ceil

from benchmarks.report import digest
from benchmarks.report.digest import OURS_EMBEDDED, Digest
from benchmarks.svg import number

NOTE = "<!-- Made by `python -m benchmarks.report` from benchmarks/results/published.jsonl; do not edit. -->\n"
_BUSY = 0.6
"""How much of its processor a part should use at most: what is left takes bursts and neighbours."""
_GOAL, _CELL = 1_000_000, 100_000
"""Items a second."""
_SECOND_US = 1_000_000
_GIB = 2**30
_DAY_S = 86_400
_LIFE = ("enqueue", "claim", "complete", "acknowledge")
"""The script calls of an item that goes well; under load its report confirms the receipt."""


def capacity(found: Digest, advice: str) -> Iterator[str]:
    """Yield the lines of the page; what was not measured is left out. The advice needs no figures."""
    yield NOTE
    yield "# Capacity\n"
    machine = found.hardware
    yield (
        f"What one server, one store node and one topic carry, as measured on {machine['processor']},"
        f" {machine['cores']} cores that everything shares ([how, and beside others](performance.md)). An item has a"
        " payload of 256 bytes, and a handler that does nothing; every promise is on. Costs are processor time: they"
        " travel better than rates, and yours are found with `make load PROFILE=drain` on your machine.\n"
    )
    yield "## What one of each carries\n"
    yield "| part | an item costs | one core carries | plan with |\n|---|---|---|---|"
    costs = _costs(found)
    for part, us in costs.items():
        most = _SECOND_US / us
        yield f"| {part} | {number(us)} us | {number(most)} items/s | {number(most * _BUSY)} items/s |"
    yield ""
    yield from _room(found)
    yield advice
    yield from _goal(costs)


def _costs(found: Digest) -> dict[str, float]:
    """Return microseconds an item by part."""
    costs = {}
    backlogs = found.scale("backlog")
    if backlogs:
        largest = max(each["backlog"] for each in backlogs)
        steps = [digest.claim_cost(backlogs, step, largest) or 0.0 for step in _LIFE]
        costs["store node, and the topics on it"] = sum(steps)
    for title, part in (("server process", "server"), ("worker process of the Python SDK", "workers")):
        if (us := found.middle(OURS_EMBEDDED, digest.processor(part))) is not None:
            costs[title] = us
    return costs


def _room(found: Digest) -> Iterator[str]:
    for each in found.scale("backlog")[-1:]:
        size = each["bytes_per_waiting_item"]
        yield f"- **Waiting**: an item takes {number(size)} bytes of store memory; a GiB holds {number(_GIB / size)}."
    for each in found.scale("history"):
        size, appended = each["bytes_per_finished_item"], each["aof_bytes_per_item"]
        yield (
            f"- **Kept**: a finished item takes {number(size)} bytes until its retention is over, one day unless you"
            f" say otherwise: at 100 items/s {number(100 * _DAY_S * size / _GIB)} GiB. Lower `--retention-seconds` for"
            f" what is fast. The life of an item writes {number(appended)} bytes to the append-only file."
        )
    for each in found.scale("streams"):
        yield (
            f"- **Connected**: a worker's stream takes {number(each['bytes_per_stream'] / 1000)} kB of a server;"
            f" {each['streams']:,} idle ones {number(each['server_cpu_percent'])} % of a core."
        )
    for each in found.scale("holding"):
        share = (each["cpu_share"]["server"] + each["cpu_share"]["store"]) * 100
        yield f"- **Running**: {each['leases']:,} leases held take {number(share)} % of a core in server and store."
    rates = [each["ours_per_s"] for each in found.scale("unary")]
    if rates:
        yield (
            f"- **Without a stream**: Claim 1 and Complete 1 by unary calls come to {number(max(rates) / 2)} items/s a"
            " server process: ask for batches, or use the stream."
        )
    yield ""


def _goal(costs: dict[str, float]) -> Iterator[str]:
    if not costs:
        return
    yield f"\n## The arithmetic to {_GOAL:,} items a second\n"
    yield (
        "Every server hears the wake-ups of every topic of its store, and may sweep each: that is what lets any server"
        " die without a trace. So what servers hear grows with topics times servers, and a deployment grows best in"
        " **cells**: a cluster, its servers and its topics, with enqueuers that know which topic is where. Cells share"
        " nothing.\n"
    )
    cells = _GOAL // _CELL
    yield f"Cores at {_BUSY:.0%} of their time, for handlers that do nothing; {cells} cells of {_CELL:,} items/s.\n"
    yield f"| part | cores a cell | that is | cores for {_GOAL:,}/s |\n|---|---|---|---|"
    for part, us in costs.items():
        cores = ceil(_CELL * us / _SECOND_US / _BUSY)
        yield f"| {part} | {cores} | {_CELL:,} x {number(us)} us / {_BUSY} | {cores * cells} |"
    masters = ceil(_CELL * next(iter(costs.values())) / _SECOND_US / _BUSY)
    yield (
        f"\nA cell is then a cluster of {masters} masters with two or three topics for each (slots fall where they"
        " fall), a machine or two of servers behind any load balancer that passes HTTP/2 through, and workers. No"
        " machine here could show a whole cell: what was shown are the parts, and that they add up on a cluster of"
        " three nodes and with more server processes.\n"
    )
