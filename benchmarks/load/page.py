"""The report of a run as one page: tables and plots, nothing from elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

from benchmarks.load.figures import Figures
from benchmarks.load.report import summary
from benchmarks.load.sampler import Sample
from benchmarks.samples import Spread
from benchmarks.svg import Line, lines

_MEBIBYTE = 2**20
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "pre{background:#f4f4f4;padding:1em;overflow:auto}table{border-collapse:collapse}"
    "td,th{text-align:left;padding:.1em 1em .1em 0;vertical-align:top}svg{display:block;margin:1.5em 0;width:100%}"
)


def page(figures: Figures, samples: Sequence[Sample], hardware: Mapping[str, str]) -> str:
    """Return the page as HTML."""
    title = f"Load report: {figures.profile.name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(type(figures.profile).__doc__ or '')}</p>",
        f"<pre>{escape(chr(10).join(summary(figures)).strip())}</pre>",
        *_plots(samples),
        "<h2>Settings</h2>",
        _table(figures.profile.settings()),
        "<h2>Taken on</h2>",
        _table(hardware),
    ]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    return "\n".join(["<!doctype html>", f"<html lang='en'><head>{head}</head><body>", *body, "</body></html>"]) + "\n"


def _table(rows: Mapping[str, object]) -> str:
    cells = (f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<table>{''.join(cells)}</table>"


def _plots(samples: Sequence[Sample]) -> Iterator[str]:
    names = list(samples[0].topics)
    yield lines("Items", "a second", [Line("enqueued", _rate(samples, _sent)), Line("ended", _rate(samples, _ended))])
    yield lines(
        "Waiting", "items", [Line(name, [(each.at, each.topics[name].ready) for each in samples]) for name in names]
    )
    yield lines(
        "Age of the oldest ready item",
        "s",
        [Line(name, [(each.at, each.topics[name].oldest_s) for each in samples]) for name in names],
    )
    yield lines(
        "Leases held",
        "items",
        [Line(name, [(each.at, each.topics[name].claimed) for each in samples]) for name in names],
    )
    for name in names:
        found = [(each.at, spread) for each in samples if (spread := each.topics[name].latency)]
        yield lines(f"Enqueue to outcome, {name}", "ms", [Line("p50", _of(found, _p50)), Line("p99", _of(found, _p99))])
    kinds = list(samples[-1].cpu_s)
    yield lines("Processor", "cores", [Line(kind, _rate(samples, _cpu(kind))) for kind in kinds])
    yield lines(
        "Memory",
        "MiB",
        [Line(kind, [(each.at, each.resident.get(kind, 0) / _MEBIBYTE) for each in samples]) for kind in kinds],
    )


def _rate(samples: Sequence[Sample], total: Callable[[Sample], float]) -> list[tuple[float, float]]:
    """Return how fast a total grew from sample to sample; a total that fell belongs to a process that ended."""
    return [
        (after.at, max(0.0, total(after) - total(before)) / max(1e-9, after.at - before.at))
        for before, after in pairwise(samples)
    ]


def _sent(sample: Sample) -> float:
    return sample.sent


def _ended(sample: Sample) -> float:
    return sample.ended


def _cpu(kind: str) -> Callable[[Sample], float]:
    return lambda sample: sample.cpu_s.get(kind, 0.0)


def _p50(spread: Spread) -> float:
    return spread.p50


def _p99(spread: Spread) -> float:
    return spread.p99


def _of(found: Sequence[tuple[float, Spread]], pick: Callable[[Spread], float]) -> list[tuple[float, float]]:
    return [(at, pick(spread)) for at, spread in found]
