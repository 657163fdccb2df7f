"""`make test-planted`: plants known defects, one by one, in a copy of the tree; each must turn its suite red.

A test suite that stays green with a defect in it proves nothing. Each `.patch` beside this file is one defect.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUITES = {
    "server": ("tests/integration/store", "tests/property"),
    "worker_sdk": ("tests/unit/worker_sdk", "tests/property/test_stream_credits.py"),
}
"""By the folder that a defect is in."""
SECONDS = 1200
"""Most that one run may take. Every test has a limit of its own, so a suite that hangs turns red by itself."""


def plant(patch: Path, copy: Path) -> str:
    """Plant a defect in a copy of the tree; return the folder that it is in."""
    subprocess.run(["git", "apply", "--unsafe-paths", f"--directory={copy}", str(patch)], check=True, cwd="/")
    return patch.read_text().partition("+++ b/")[2].partition("/")[0]


def is_red(copy: Path, folder: str) -> bool:
    """Return whether the suite of a folder is red on a copy of the tree.

    Raises:
        RuntimeError: it did not run.
    """
    # No shrinking: one failing history is enough.
    path = ":".join(str(copy / each) for each in ("server", "worker_sdk", "protos"))
    environment = {**os.environ, "PYTHONPATH": path, "PLANTED": "1"}
    command = [sys.executable, "-m", "pytest", *SUITES[folder], "-q", "-x", "-p", "no:cacheprovider", "--no-header"]
    suite = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False)
    if suite.returncode not in {0, 1}:
        raise RuntimeError(f"{folder}: the suite did not run: {suite.stdout.decode()[-2000:]}")
    return suite.returncode == 1


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a fresh copy of what the suites need."""
    with tempfile.TemporaryDirectory(prefix="bloge-planted-") as name:
        copy = Path(name)
        for folder in ("server", "worker_sdk", "protos", "tests"):
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        yield copy


def main() -> int:
    """Plant every defect; return how many were not caught. A suite that is red without one would prove nothing."""
    for folder in SUITES:
        with copied() as copy:
            if is_red(copy, folder):
                print(f"{folder}: its suite is red without any defect")
                return 1
    missed = []
    for patch in sorted(HERE.glob("*.patch")):
        with copied() as copy:
            caught = is_red(copy, plant(patch, copy))
        print(f"{'caught' if caught else 'MISSED'}  {patch.stem}", flush=True)
        missed += [] if caught else [patch.stem]
    print(f"{len(missed)} missed" if missed else "every planted defect was caught")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
