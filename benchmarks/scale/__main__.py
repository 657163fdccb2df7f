"""Measures ours alone: `python -m benchmarks.scale [--smoke] [--only MEASURE] [--out FILE]`."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import structlog

from benchmarks import cancel, results, streams
from benchmarks.processes import Server
from benchmarks.scale import backlog, history, holding, unary, ways

_IDLE_TOPICS = 10
_LOG_ERROR = 40

Record = dict[str, Any]


class Measure(Protocol):
    """Measures something of ours."""

    def __call__(self, *, smoke: bool) -> AsyncIterator[Record]:
        """Yield results, with tiny sizes or real ones."""


async def _backlog(*, smoke: bool) -> AsyncIterator[Record]:
    sizes, items, rounds = ((1_000, 5_000), 500, 1) if smoke else ((1_000, 100_000, 1_000_000), 5_000, 3)
    for _ in range(rounds):
        for record in await backlog.measure(sizes, items):
            yield record


async def _history(*, smoke: bool) -> AsyncIterator[Record]:
    yield await (history.measure(2_000, 500) if smoke else history.measure(1_000_000, 5_000))


async def _unary(*, smoke: bool) -> AsyncIterator[Record]:
    for record in await (unary.measure(1, 0.5) if smoke else unary.measure(3, 3.0)):
        yield record


async def _idle(*, smoke: bool) -> AsyncIterator[Record]:
    yield holding.measure(0, 1.0 if smoke else 20.0)


async def _holding(*, smoke: bool) -> AsyncIterator[Record]:
    yield holding.measure(200, 1.0) if smoke else holding.measure(10_000, 120.0)


async def _ways(*, smoke: bool) -> AsyncIterator[Record]:
    async for record in ways.measure(600 if smoke else 30_000):
        yield record


async def _streams(*, smoke: bool) -> AsyncIterator[Record]:
    count, seconds = (20, 1.0) if smoke else (1_000, 30.0)
    with _server() as server:
        yield asdict(await streams.measure(server, count, _IDLE_TOPICS, seconds))


async def _cancel(*, smoke: bool) -> AsyncIterator[Record]:
    with _server() as server:
        for result in await cancel.measure(server.address, 10 if smoke else 500):
            yield asdict(result)


@contextmanager
def _server() -> Iterator[Server]:
    server = Server.start()
    try:
        yield server
    finally:
        server.stop()


_MEASURES: dict[str, Measure] = {
    "backlog": _backlog,
    "history": _history,
    "unary": _unary,
    "idle": _idle,
    "holding": _holding,
    "ways": _ways,
    "streams": _streams,
    "cancel": _cancel,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and add the results to a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does everything still work?")
    parser.add_argument("--only", choices=_MEASURES, action="append", help="measure this; may be given several times")
    parser.add_argument("--out", type=Path, help="the file to add the results to")
    options = parser.parse_args(arguments)
    out = options.out or results.FOLDER / f"scale-{results.stamp()}.jsonl"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_LOG_ERROR))
    asyncio.run(_measure(options.only or _MEASURES, out, smoke=options.smoke))
    print(f"results: {out}")
    return 0


async def _measure(names: Iterable[str], out: Path, *, smoke: bool) -> None:
    """Take one measure after the other, in one loop: gRPC does not survive the end of one."""
    for name in names:
        async for record in _MEASURES[name](smoke=smoke):
            results.append(out, {"kind": "scale", "measure": name, **record})
            print(f"{name}: {record}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
