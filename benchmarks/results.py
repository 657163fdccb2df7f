"""Where results go: one JSON line for each, in `benchmarks/results`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
"""Ignored by version control, except for what the docs are made from."""


def stamp() -> str:
    """Return the current instant as a part of a file name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")  # noqa: TID251 - the run happens in our time


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add a line to a file of results; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record, separators=(",", ":")) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of results.

    Raises:
        ValueError: a line is no JSON object; it says which.
    """
    records = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError(f"{path.name}:{number} is no JSON object")  # noqa: TRY004 - the file's content, not a type
        records.append(record)
    return records
