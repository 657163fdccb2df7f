"""Measures ours alone: `python -m benchmarks.scale [--smoke] [--out FILE]`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from benchmarks import results
from benchmarks.scale import backlog, holding, unary

_BACKLOGS, _SMOKE_BACKLOGS = (1_000, 100_000, 1_000_000), (1_000, 5_000)
_ITEMS, _SMOKE_ITEMS = 5_000, 500
_LEASES, _SMOKE_LEASES = 10_000, 200
_LOG_ERROR = 40


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and add the results to a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does everything still work?")
    parser.add_argument("--rounds", type=int, default=3, help="how often each figure is taken; 3")
    parser.add_argument("--out", type=Path, help="the file to add the results to")
    options = parser.parse_args(arguments)
    out = options.out or results.FOLDER / f"scale-{results.stamp()}.jsonl"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_LOG_ERROR))
    smoke, rounds = options.smoke, 1 if options.smoke else options.rounds

    def tell(measure: str, record: dict[str, Any]) -> None:
        results.append(out, {"kind": "scale", "measure": measure, **record})
        print(f"{measure}: {record}", flush=True)

    for _ in range(rounds):
        backlogs, items = (_SMOKE_BACKLOGS, _SMOKE_ITEMS) if smoke else (_BACKLOGS, _ITEMS)
        for record in asyncio.run(backlog.measure(backlogs, items)):
            tell("backlog", record)
    for record in asyncio.run(unary.measure(rounds, 0.5 if smoke else 3.0)):
        tell("unary", record)
    tell("idle", holding.measure(0, 1.0 if smoke else 20.0))
    tell("holding", holding.measure(_SMOKE_LEASES if smoke else _LEASES, 1.0 if smoke else 30.0))
    print(f"results: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
