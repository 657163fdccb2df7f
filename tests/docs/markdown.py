"""Pages that tests follow: what a reader is told to write, to run and to see, in order."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs/worker"

_TOKEN = re.compile(
    r"^(?:<!-- (?P<word>[a-z ]+): (?P<argument>[^\n]+) -->|```(?P<language>\w+)\n(?P<body>.*?)^```)$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """A fenced block."""

    language: str
    body: str


class Direction(NamedTuple):
    """What a comment that readers do not see tells the test about the block that follows, or to do now."""

    word: str
    argument: str


def steps(page: Path) -> Iterator[Block | Direction]:
    """Yield blocks and directions in the order in which they stand. Fences without a language are passed over."""
    for found in _TOKEN.finditer(page.read_text()):
        if found["word"]:
            yield Direction(found["word"], found["argument"])
        else:
            yield Block(found["language"], found["body"])


def sections(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the title and the text of each section of the second level."""
    _, *parts = re.split(r"^## ", page.read_text(), flags=re.MULTILINE)
    for part in parts:
        title, _, text = part.partition("\n")
        yield title, text


def matches(expected: str, line: str) -> bool:
    """Tell whether a line is as the page says, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, line.rstrip()) is not None
