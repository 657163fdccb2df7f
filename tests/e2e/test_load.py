"""Small loads on real processes, judged by themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOADS = {
    "drain": ["drain", "--backlog", "2000"],
    "scripted-ends": [
        *("steady", "--rate", "100", "--duration", "2", "--failure-rate", "0.1", "--business-error-rate", "0.1"),
        *("--topics", "a:3,b", "--work-ms", "2", "--work-times", "exponential"),
    ],
    "crashes": ["steady", "--rate", "100", "--duration", "2", "--crash-rate", "0.01", "--lease-seconds", "1"],
    "outage": [
        *("outage", "--rate", "50", "--duration", "3", "--lease-seconds", "1"),
        *("--outage-after", "1", "--outage-seconds", "1"),
    ],
    "idle-workers": ["idle-workers", "--duration", "1", "--idle-workers", "60"],
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("arguments", LOADS.values(), ids=LOADS)
def test_a_load_ends_with_every_item_done_exactly_once(arguments: list[str], tmp_path: Path) -> None:
    """It says so, writes a line of results and a page, and exits with 0."""
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    command += ["--json", str(tmp_path / "results.jsonl"), "--html", str(tmp_path / "report.html")]
    load = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert load.returncode == 0, load.stdout + load.stderr
    assert "every item ended exactly once" in load.stdout
    (line,) = (tmp_path / "results.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["accounts"]["ended"] == record["accounts"]["items"] > 0
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
