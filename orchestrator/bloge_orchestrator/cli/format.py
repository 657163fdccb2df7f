"""`bloge format`."""

from difflib import unified_diff
from pathlib import Path

import click

from bloge_orchestrator.cli.options import read_text
from bloge_orchestrator.cli.output import counted, safe
from bloge_orchestrator.cli.problems import FAILED, BadUsage
from bloge_orchestrator.diagnostics import GraphInvalid
from bloge_orchestrator.formatting import format_source

STANDARD_INPUT = "-"


@click.command("format")
@click.argument("files", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if a file is not formatted.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
def format_files(files: tuple[str, ...], *, check: bool, diff: bool) -> None:
    """Set FILES in their canonical form, in place; standard input, for `-`, is written to standard output.

    Comments, strings and the order of everything stay as they are. Ends with 1 if --check finds a file that is not
    formatted, with 2 if a file cannot be read or does not parse; the other files are formatted all the same.
    """
    run = _Run(check=check, diff=diff)
    for file in files:
        run.format(file)
    run.end()


class _Run:
    """Formats files one after the other, and keeps count."""

    def __init__(self, *, check: bool, diff: bool) -> None:
        self._check = check
        self._diff = diff
        self._changed = 0
        self._problems: list[str] = []

    def format(self, file: str) -> None:
        """Format a file."""
        try:
            text = read_text(file)
            formatted = format_source(text, filename=file)
        except click.UsageError as error:
            self._problems.append(error.message)
            return
        except GraphInvalid as error:
            self._problems.append(str(error))
            return
        self._changed += formatted != text
        self._show(file, text, formatted)

    def _show(self, file: str, text: str, formatted: str) -> None:
        if self._diff:
            lines = unified_diff(text.splitlines(), formatted.splitlines(), file, f"{file} formatted", lineterm="")
            for line in lines:
                click.echo(safe(line))
        if self._check and formatted != text:
            click.echo(f"{file} is not formatted", err=True)
        if self._check or self._diff:
            return
        if file == STANDARD_INPUT:
            click.echo(formatted, nl=False)
        elif formatted != text:
            Path(file).write_bytes(formatted.encode())
            click.echo(f"{file} formatted")

    def end(self) -> None:
        """Tell what could not be formatted, and end as it went."""
        if self._problems:
            raise BadUsage("\n".join([f"{counted(len(self._problems), 'file')} cannot be formatted", *self._problems]))
        if self._check and self._changed:
            raise SystemExit(FAILED)
