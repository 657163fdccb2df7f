"""What a server process does before it serves."""

import subprocess
import sys

_PROGRAM = """
import gc
from bloge_server import processes

async def main():
    print(gc.get_freeze_count() > 10_000, gc.get_threshold()[0], gc.isenabled())

processes._run(main())
"""


def test_the_garbage_collector_looks_seldom_and_not_at_modules() -> None:
    """Collections cost a server several percent of its time, and pauses, while it handles large batches."""
    told = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["True", "50000", "True"]
