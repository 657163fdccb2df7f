"""Loads the Lua scripts: resolves includes, reads the contract headers, knows the digests."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_INCLUDE = re.compile(r"^--- @include (\w+)$", re.MULTILINE)
_SHEBANG = re.compile(r"^#!lua[^\n]*\n")
_SECTION = re.compile(r"^-- (Transition|Keys|Arguments|Returns|Statuses|Atomic): ")
SECTIONS = ("Transition", "Keys", "Arguments", "Returns", "Statuses", "Atomic")


@dataclass(frozen=True, slots=True)
class Script:
    """One transition, ready to send."""

    name: str
    source: str
    """The whole text: shebang, includes, body."""
    sha: str
    """What EVALSHA calls it by."""
    tells: bool
    """Whether it tells with its reply what it did (`include/telling.lua`)."""
    summary: str
    header: dict[str, str]
    """The contract's sections by name."""


def _folder() -> Traversable:
    return files(__package__) / "lua"


def names() -> list[str]:
    """Return the names of all scripts."""
    return sorted(entry.name.removesuffix(".lua") for entry in _folder().iterdir() if entry.name.endswith(".lua"))


@cache
def load(name: str) -> Script:
    """Return a script by name.

    Raises:
        FileNotFoundError: there is no such script, or it includes one that is not there.
    """
    text = (_folder() / f"{name}.lua").read_text()
    shebang = _SHEBANG.match(text)
    body = text[shebang.end() :] if shebang else text
    source = (shebang.group() if shebang else "#!lua\n") + _resolved(body)
    summary, header = _read_header(body)
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, "return told(" in body, summary, header)


def _resolved(body: str) -> str:
    """Return a text behind the texts that it includes, and that those include in turn."""
    included = (_resolved((_folder() / "include" / f"{each}.lua").read_text()) for each in _INCLUDE.findall(body))
    return "".join(included) + _INCLUDE.sub("", body)


def _read_header(body: str) -> tuple[str, dict[str, str]]:
    """Return the summary and the sections of the comment that a script begins with."""
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in body.splitlines():
        if not line.startswith("-- "):
            break
        if section := _SECTION.match(line):
            current = section.group(1)
            parts[current] = [line[section.end() :]]
        else:
            parts[current].append(line[2:].strip())
    sections = {name: " ".join(lines) for name, lines in parts.items()}
    return sections.pop(""), sections
