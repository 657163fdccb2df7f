"""Every benchmark in a tiny size: none stops working unnoticed. Peers are not installed for it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.report.aims import aims
from benchmarks.report.digest import Digest

ALONE = {
    "executions": (["--executions", "20", "--items", "20", "--seconds", "1"], "a foreach over 20 remote items"),
    "foreach": (["20"], "remote"),
    "console": (["--items", "20000", "--times", "1"], "dry run over all dead letters"),
    "audit": (["--items", "5000"], "others waited"),
}
"""What a benchmark is told, and what it says at its end."""


TOO_SLOW = 1
"""How the console's benchmark ends if a page takes too long: on a busy machine that is nobody's defect."""


def ran(module: str, arguments: Sequence[str]) -> str:
    """Run a benchmark to a good end; return what it printed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    fine = {0, TOO_SLOW} if module == "console" and "Traceback" not in done.stderr else {0}
    assert done.returncode in fine, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("module", ALONE)
def test_a_benchmark_runs_to_its_end(module: str) -> None:
    """The last thing that it looks at is in what it prints."""
    arguments, last = ALONE[module]
    assert last in ran(module, arguments)


@pytest.mark.timeout(600)
def test_the_page_of_results_can_be_made(tmp_path: Path) -> None:
    """`make bench-smoke` with ours alone finds everything that the page holds against an aim, but the peers' ratios."""
    found = tmp_path / "found.jsonl"
    ran("compare", ["--smoke", "--systems", "bloge-embedded", "--out", str(found)])
    ran("scale", ["--smoke", "--out", str(found)])
    measures = [aim.measure for aim in aims(Digest(results.read(found)))]
    assert sum("enqueue to outcome at" in measure for measure in measures) == 4
    assert sum("claim cost" in measure or "idle" in measure or "cancel" in measure for measure in measures) >= 5
