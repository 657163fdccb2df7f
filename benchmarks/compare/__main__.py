"""Measures ours beside its peers: `python -m benchmarks.compare [--smoke] [--systems NAME...]`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import hardware, results
from benchmarks.compare.rounds import alone, turns
from benchmarks.compare.systems import REDIS, SYSTEMS, System
from benchmarks.compare.visit import FULL, SMOKE, Visit, visit
from benchmarks.svg import number


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and add the results to a file.

    Returns:
        The exit code: 1 if ours, or in a smoke run anything, was not as it should be.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one round: does everything still work?")
    parser.add_argument("--rounds", type=int, default=3, help="how often each system is visited; 3")
    parser.add_argument("--systems", nargs="+", default=[], help="peers to measure; all that are installed")
    parser.add_argument("--out", type=Path, help="the file to add the results to")
    options = parser.parse_args(arguments)
    out = options.out or results.FOLDER / f"bench-{results.stamp()}.jsonl"
    chosen = _chosen(options.systems)
    machine = hardware.describe() | {"redis-server": hardware.tool_version(REDIS, "--version")}
    results.append(out, {"kind": "run", "when": results.stamp(), "hardware": machine, "smoke": options.smoke})
    wrong = 0
    for turn_round in range(1 if options.smoke else options.rounds):
        for turn in alone(chosen, SMOKE) if options.smoke else turns(chosen, FULL):
            began = time.monotonic()
            found = visit(turn.system, turn.sizes)
            record = {"kind": "visit", "round": turn_round, "beside": turn.beside, **found.record()}
            results.append(out, record)
            wrong += len(found.problems) if turn.system.is_ours or options.smoke else 0
            print(f"{time.monotonic() - began:5.0f} s  {_line(found)}", flush=True)
    print(f"results: {out}")
    return 1 if wrong else 0


def _chosen(names: Sequence[str]) -> list[System]:
    """Return ours, and those peers that were named, or that are installed; say which are left out."""
    for system in SYSTEMS:
        if system.missing:
            print(f"{system.title}: left out; '{system.missing}' installs what it needs", flush=True)
    return [each for each in SYSTEMS if not each.missing and (not names or each.is_ours or each.name in names)]


def _line(found: Visit) -> str:
    parts = [f"{found.title:38}", f"enqueue {number(found.enqueue_per_s):>7}/s"]
    parts += [f"drain with {workers} {number(rate):>7}/s" for workers, rate in found.drain_per_s.items()]
    parts += [
        f"at {rate}/s p50 {number(spread.p50)} p99 {number(spread.p99)} ms"
        for rate, spread in found.latency_ms.items()
        if spread
    ]
    if found.recovery_s is not None:
        parts.append(f"recovers in {number(found.recovery_s)} s")
    return "  ".join([*parts, *(f"PROBLEM: {problem}" for problem in found.problems)])


if __name__ == "__main__":
    sys.exit(main())
