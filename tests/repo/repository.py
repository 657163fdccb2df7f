"""The repository as its files are."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files under version control, and new ones that no rule ignores, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(Path(name) for name in sorted(listed.split("\0")) if name and (ROOT / name).is_file())


def text(path: Path) -> str:
    """Return a file's text; empty if it holds none."""
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""
