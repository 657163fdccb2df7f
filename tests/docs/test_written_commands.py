"""Commands that the docs tell people to type: they exist, and take what is written."""

import re
import shlex
from pathlib import Path

import click
import pytest

from bloge_orchestrator.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/**/*.md"))]
LISTED = {"docs/commands.md"}
"""Made from the commands themselves."""


def written() -> list[tuple[str, str]]:
    """Return each command with its page: whole lines of blocks, and what stands between backticks."""
    found = []
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for line in page.read_text().splitlines() if name not in LISTED else ():
            commands = [line] if line.startswith("bloge ") else re.findall(r"`(bloge [^`]+)`", line)
            found += [(name, command.partition("  #")[0].strip()) for command in commands]
    return found


@pytest.mark.parametrize(("page", "text"), written())
def test_a_written_command_can_be_typed(page: str, text: str) -> None:
    """Its words name a command, its options are that command's, and it has as many arguments as that takes."""
    command: click.Command = main
    words = shlex.split(text.replace("…", ""))[1:]
    context = click.Context(main)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: {text}: there is no {words[0]!r}"
        command, words = found, words[1:]
    if isinstance(command, click.Group) or not words:
        return  # only named
    context = click.Context(command)
    given, rest, _ = command.make_parser(context).parse_args(list(words))
    assert rest == [], f"{page}: {text}"
    wanted = [each.name for each in command.params if isinstance(each, click.Argument) and each.required]
    assert all(given.get(name) for name in wanted), f"{page}: {text}: {wanted}"
