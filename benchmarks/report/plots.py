"""The plots of docs/performance.md. No I/O."""

from benchmarks.report import digest
from benchmarks.report.digest import OURS, OURS_EMBEDDED, Digest, Pick
from benchmarks.svg import Bar, bars

PLOTS = {
    "drain": "Drain of a backlog with one worker process",
    "latency": "Enqueue to result at 50 items/s, p99",
    "store": "Store memory or bytes of an item that waits",
}
"""Names of files, and titles."""
_PICKS: dict[str, tuple[str, Pick]] = {
    "drain": ("items/s, more is better", digest.drain(1)),
    "latency": ("ms, less is better", digest.latency(50, "p99")),
    "store": ("bytes, less is better", digest.stored),
}


def plots(found: Digest) -> dict[str, str]:
    """Return each plot by its name."""
    drawn = {}
    for name, (unit, pick) in _PICKS.items():
        values = [
            Bar(system["title"], value, stands_out=system["system"] in {OURS, OURS_EMBEDDED})
            for system in found.systems()
            if (value := found.middle(system["system"], pick)) is not None
        ]
        drawn[name] = bars(PLOTS[name], unit, values)
    return drawn
