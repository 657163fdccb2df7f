"""Pins the third-party dependencies of the four distributions and of the developers' tools in `dev.txt`."""

import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
MANIFESTS = [
    "pyproject.toml",
    *(f"{member}/pyproject.toml" for member in ("protos", "worker_sdk", "orchestrator", "server")),
]
COMPILE = "uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url -"


def third_party() -> list[str]:
    """Return every requirement of the manifests that is not one of our own distributions."""
    found: set[str] = set()
    for manifest in MANIFESTS:
        project = tomllib.loads((ROOT / manifest).read_text())["project"]
        groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
        found.update(name for group in groups for name in group if not name.startswith("bloge-"))
    return sorted(found)


def main() -> None:
    """Write `dev.txt`; it records names and versions only."""
    command = [str(Path(sys.executable).parent / "uv"), *COMPILE.split()[1:]]
    wanted = "\n".join(third_party())
    pinned = subprocess.run(command, input=wanted, text=True, check=True, stdout=subprocess.PIPE).stdout
    (HERE / "dev.txt").write_text(f"# Made by `make lock`.\n{pinned}")


if __name__ == "__main__":
    main()
