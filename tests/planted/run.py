"""`make test-planted`: plants known defects, one by one, in a copy of the tree; each must turn its suite red.

A test suite that stays green with a defect in it proves nothing. Each `.patch` beside this file is one defect.
"""

import os
import shutil
import subprocess
import sys
import tempfile
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


def is_caught(patch: Path, copy: Path) -> bool:
    """Return whether the suite turns red with a defect planted in a fresh copy of the tree."""
    for folder in ("server", "worker_sdk", "protos", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    subprocess.run(["git", "apply", "--unsafe-paths", f"--directory={copy}", str(patch)], check=True, cwd="/")
    # No shrinking: one failing history is enough.
    path = ":".join(str(copy / folder) for folder in ("server", "worker_sdk", "protos"))
    environment = {**os.environ, "PYTHONPATH": path, "PLANTED": "1"}
    folder = patch.read_text().partition("+++ b/")[2].partition("/")[0]
    command = [sys.executable, "-m", "pytest", *SUITES[folder], "-q", "-x", "-p", "no:cacheprovider", "--no-header"]
    suite = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False)
    if suite.returncode not in {0, 1}:
        raise RuntimeError(f"{patch.stem}: the suite did not run: {suite.stdout.decode()[-2000:]}")
    return suite.returncode == 1


def main() -> int:
    """Plant every defect; return how many were not caught."""
    missed = []
    for patch in sorted(HERE.glob("*.patch")):
        with tempfile.TemporaryDirectory(prefix="bloge-planted-") as folder:
            caught = is_caught(patch, Path(folder))
        print(f"{'caught' if caught else 'MISSED'}  {patch.stem}", flush=True)
        missed += [] if caught else [patch.stem]
    print(f"{len(missed)} missed" if missed else "every planted defect was caught")
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
