"""The planted defects stay plantable."""

import subprocess
from pathlib import Path

import pytest

from .repository import ROOT

PATCHES = sorted((ROOT / "tests" / "planted").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_defect_fits_the_code(patch: Path) -> None:
    """One that no longer applies would be found only when somebody runs `make test-planted`."""
    checked = subprocess.run(["git", "apply", "--check", str(patch)], cwd=ROOT, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr.decode()
