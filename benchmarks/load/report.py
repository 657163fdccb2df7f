"""Says what a run came to, as text: a line a second, and a summary."""

from benchmarks.load.figures import Figures
from benchmarks.load.sampler import Sample
from benchmarks.samples import Spread
from benchmarks.svg import number

_MEBIBYTE = 2**20
_LONG_RUN = 60.0
"""In fewer seconds memory tells nothing."""


def progress(before: Sample, now: Sample) -> str:
    """Return the line of one second."""
    seconds = max(1e-9, now.at - before.at)
    topics = now.topics.values()
    parts = [
        f"{now.at:6.0f} s",
        f"in {number((now.sent - before.sent) / seconds):>6}/s",
        f"out {number((now.ended - before.ended) / seconds):>6}/s",
        f"ready {sum(topic.ready for topic in topics):>7,}",
        f"held {sum(topic.claimed for topic in topics):>6,}",
        f"oldest {max(topic.oldest_s for topic in topics):5.1f} s",
    ]
    parts += [_latency(name if len(now.topics) > 1 else "", topic.latency) for name, topic in now.topics.items()]
    return "  ".join(part for part in parts if part)


def _latency(name: str, spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{name} p50 {number(spread.p50)} p99 {number(spread.p99)} ms".lstrip()


def summary(figures: Figures) -> list[str]:
    """Return the report as lines of text."""
    accounts = figures.accounts
    ended = f"{figures.profile.name}: {accounts.ended:,} of {accounts.items:,} items ended"
    last = f"the last {figures.last_end:.2f} s after the start"
    lines = ["", f"{ended}, {last}; {number(figures.ends_per_second)} a second"]
    if figures.fill_per_second is not None:
        lines.append(f"  backlog enqueued at {number(figures.fill_per_second)} items/s")
    lines += [_spread(f"enqueue to outcome, {name}", spread) for name, spread in figures.latencies.items() if spread]
    if figures.lag is not None:
        lines.append(_spread("the load itself ran late by", figures.lag))
    lines += _outage(figures)
    lines.append(f"  most leases held at once: {figures.most_claimed:,}")
    lines += [
        f"  cpu {name}: {share:.1%} of a core, {number(figures.cpu_us_per_item[name])} microseconds an item"
        for name, share in figures.cpu_share.items()
    ]
    lines += [
        f"  memory of {name} grew by {growth / _MEBIBYTE:.2f} MiB a minute"
        for name, growth in figures.memory_slope.items()
        if figures.last_end >= _LONG_RUN
    ]
    lines.append(
        f"  runs of handlers: {accounts.runs:,}, of them {accounts.planned_failures:,} failed as planned and"
        f" {accounts.cut:,} in workers that were killed or stopped ({figures.moments.restarts} restarts)"
    )
    lines.append(f"  outcomes delivered again: {figures.redelivered:,}; of other loads: {figures.strangers:,}")
    lines += [f"PROBLEM: {problem}" for problem in accounts.problems]
    lines.append("not as it should be" if accounts.problems else "every item ended exactly once")
    return lines


def _outage(figures: Figures) -> list[str]:
    began, ended = figures.moments.outage_began, figures.moments.outage_ended
    if began is None or ended is None or figures.drained_after is None:
        return []
    done = f"what had piled up was done {figures.drained_after:.2f} s after they were back"
    return [f"  no workers from {began:.1f} to {ended:.1f} s; {done}"]


def _spread(what: str, spread: Spread) -> str:
    p50, p95, p99, most = map(number, (spread.p50, spread.p95, spread.p99, spread.most))
    return f"  {what}: p50 {p50} ms, p95 {p95} ms, p99 {p99} ms, most {most} ms"
