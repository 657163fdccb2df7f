"""Writes docs/performance.md and docs/capacity.md: `python -m benchmarks.report [FILE...]`, or `--check` to compare.

Without files it is made from what is published; with files these are published first.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import results
from benchmarks.report.capacity import capacity
from benchmarks.report.digest import Digest
from benchmarks.report.page import page
from benchmarks.report.plots import plots

PUBLISHED = results.FOLDER / "published.jsonl"
DOCS = Path(__file__).parents[2] / "docs"
ADVICE = Path(__file__).with_name("advice.md")
REASONS = Path(__file__).with_name("reasons.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the page and its plots; return 1 if they are not what the results say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help="results to publish, in place of those that are")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something would change")
    options = parser.parse_args(arguments)
    if options.files:
        records = [record for file in options.files for record in results.read(file)]
        PUBLISHED.unlink(missing_ok=True)
        for record in records:
            results.append(PUBLISHED, record)
    found = Digest(results.read(PUBLISHED))
    texts = {
        DOCS / "performance.md": page(found, REASONS.read_text()),
        DOCS / "capacity.md": "\n".join(capacity(found, ADVICE.read_text())),
    }
    texts |= {DOCS / "performance" / f"{name}.svg": plot for name, plot in plots(found).items()}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if options.check:
        for path in stale:
            print(f"docs/{path.relative_to(DOCS)} is not what the results say; run 'python -m benchmarks.report'")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(texts[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
