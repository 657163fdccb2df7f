"""The how-to: its Python runs, its links lead somewhere, its questions are listed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .markdown import DOCS, Block, sections, steps

SECONDS = 60
PAGE = DOCS / "howto.md"
SECTIONS = dict(sections(PAGE))
PAGES = sorted(DOCS.glob("*.md"))


def anchor(title: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("title", [title for title, text in SECTIONS.items() if "```python" in text])
def test_the_python_of_a_section_runs(title: str, tmp_path: Path) -> None:
    """Its blocks in one program, from top to bottom; assertions in them hold."""
    page = tmp_path / "section.md"
    page.write_text(SECTIONS[title])
    blocks = [step.body for step in steps(page) if isinstance(step, Block) and step.language == "python"]
    (tmp_path / "section.py").write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, "section.py"], cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_question_is_listed() -> None:
    """In the order of the page."""
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", PAGE.read_text(), flags=re.MULTILINE)
    assert listed == [(title, anchor(title)) for title in SECTIONS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """To files that are there, and headings that are in them."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, heading = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        assert there.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", there.read_text(), flags=re.MULTILINE)
            assert heading in {anchor(title) for title in titles}, target


def test_nothing_of_the_log_page_is_made_up() -> None:
    """Each line that it explains is a text of the SDK."""
    sources = "\n".join(path.read_text() for path in Path("worker_sdk/bloge_worker").rglob("*.py"))
    told = (
        "the event loop has not turned for",
        "stopping the handler: ",
        "the server refused a ",
        "connecting again in",
    )
    for words in told:
        assert words in sources
        assert words in SECTIONS["Read the log"]
