"""From records to the page."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks.report import digest
from benchmarks.report.__main__ import main
from benchmarks.report.aims import aims
from benchmarks.report.capacity import capacity
from benchmarks.report.digest import Digest
from benchmarks.report.page import page

RUN = {"kind": "run", "when": "now", "smoke": False, "hardware": dict.fromkeys(("processor", "cores"), "2")}


def visit(system: str, drained: float, *, beside: str = "", **members: Any) -> dict[str, Any]:
    """Return the record of a visit."""
    record: dict[str, Any] = {"kind": "visit", "system": system, "title": system, "beside": beside or system}
    record |= {"enqueue_per_s": 0.0, "stored_bytes_per_item": 0.0, "drain_per_s": {"1": drained}, "recovery_s": None}
    return {
        **record,
        "settings": "",
        "versions": {},
        "latency_ms": {},
        "cpu_us_per_item": {},
        "problems": [],
        **members,
    }


def test_a_figure_is_the_median_of_its_visits() -> None:
    """And absent if it was never taken."""
    found = Digest([RUN, visit("bullmq", 1), visit("bullmq", 5), visit("bullmq", 2)])
    assert found.middle("bullmq", digest.drain(1)) == 2
    assert found.middle("bullmq", digest.drain(2)) is None
    assert found.middle("arq", digest.drain(1)) is None


def test_a_ratio_compares_what_was_measured_side_by_side() -> None:
    """The machine may be slower an hour later; ours beside another peer does not count."""
    first = [visit("bloge", 30, beside="bullmq"), visit("bullmq", 10)]
    found = Digest([RUN, *first, visit("bloge", 90, beside="arq"), visit("arq", 9)])
    assert found.ratio("bullmq", digest.drain(1)) == 3
    assert found.ratio("arq", digest.drain(1)) == 10
    assert found.ratio("saq", digest.drain(1)) is None


def test_aims_are_met_or_not() -> None:
    """At least as fast as aimed at, at most as long: a ratio of 1 and more is met."""
    latency = {"50": {"p50": 6.0, "p99": 4.0}}
    records = [
        RUN,
        visit("bloge", 33, beside="bullmq"),
        visit("bullmq", 10),
        visit("bloge-embedded", 1, latency_ms=latency, enqueue_per_s=30_000.0),
    ]
    found = {aim.measure: aim for aim in aims(Digest(records))}
    assert found["drain, one worker process, beside BullMQ"].ratio == pytest.approx(3.0)
    assert found["enqueue, batches of 500"].ratio == 0.5
    assert found["enqueue to outcome at 50 items/s, p50"].ratio == 0.5
    assert found["enqueue to outcome at 50 items/s, p99"].ratio == 2
    assert "unary Claim 1 and Complete 1, beside an echo" not in found


def test_the_page_shows_what_went_wrong_and_why_aims_are_not_met() -> None:
    """Beside the figures they belong to."""
    machine = dict.fromkeys(("processor", "cores", "memory", "kernel", "python"), "x")
    text = page(Digest([{**RUN, "hardware": machine}, visit("bullmq", 10, problems=["3 items never ran"])]), "## Why\n")
    assert "- bullmq: 3 items never ran" in text
    assert "| bullmq | 10 |" in text
    assert "## Why" in text


def test_the_page_shows_loads() -> None:
    """With the growth of memory where they went on for long enough."""
    load: dict[str, Any] = {
        "kind": "load",
        "profile": "steady",
        "settings": {"rate": 5000.0, "duration": 600.0},
        "drained_after": None,
    }
    load |= {"accounts": {"items": 3, "ended": 2, "problems": ["one item has not ended"]}}
    load |= {
        "latencies": {"load": {"p50": 40.0, "p99": 80.0}},
        "memory_slope": {"server": 2**20, "store": 0, "workers": 0},
    }
    short = {**load, "profile": "outage", "settings": {"rate": 300.0, "duration": 40.0}, "drained_after": 1.5}
    machine = dict.fromkeys(("processor", "cores", "memory", "kernel", "python"), "x")
    text = page(Digest([{**RUN, "hardware": machine}, load, short]), "")
    growing = "| steady | 2 of 3 | 5,000 | 600 | load 40 / 80 | 1.00 / 0.00 / 0.00 | one item has not ended |"
    assert growing in text
    assert "| load 40 / 80 | - | one item has not ended; done 1.5 s after the workers were back |" in text


def test_capacity_is_arithmetic_on_what_was_measured() -> None:
    """A core has a million microseconds a second; what was not measured is not there."""
    steps = {"enqueue": 20.0, "claim": 20.0, "receipt": 99.0, "complete": 30.0, "acknowledge": 10.0}
    backlog = {"kind": "scale", "measure": "backlog", "backlog": 1000, "bytes_per_waiting_item": 512.0}
    ours = visit("bloge-embedded", 1, cpu_us_per_item={"1": {"server": 50.0}})
    text = "\n".join(capacity(Digest([RUN, {**backlog, "store_cpu_us": steps}, ours]), "ADVICE"))
    assert "| store node, and the topics on it | 80 us | 12,500 items/s | 7,500 items/s |" in text
    assert "| server process | 9 | 100,000 x 50 us / 0.6 | 90 |" in text
    assert "a GiB holds 2,097,152" in text
    assert "worker process" not in text
    assert "ADVICE" in text


def test_the_committed_page_is_what_the_published_results_say(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m benchmarks.report` was run after the last change."""
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_results_are_objects(tmp_path: Path) -> None:
    """A file of something else is refused with the line."""
    file = tmp_path / "results.jsonl"
    results.append(file, {"a": 1})
    assert results.read(file) == [{"a": 1}]
    file.write_text('{"a": 1}\n[]\n')
    with pytest.raises(ValueError, match=r"results.jsonl:2"):
        results.read(file)
