"""How things are printed."""

import json
import re
from collections.abc import Iterable, Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bloge_orchestrator.operators import Json

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def safe(text: str) -> str:
    """Make text from elsewhere harmless: what would steer a terminal, or cannot be printed at all, is replaced."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def on_terminal() -> bool:
    """Tell whether standard output is a terminal."""
    return Console().is_terminal


def print_json(value: Json) -> None:
    """Print JSON: for reading on a terminal, on one line of ASCII elsewhere."""
    click.echo(safe(json.dumps(value, ensure_ascii=False, indent=2)) if on_terminal() else json.dumps(value))


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on a terminal, and lines of fields parted by tabs elsewhere."""
    if not on_terminal():
        for row in rows:
            click.echo("\t".join(" ".join(safe(field).split()) for field in row))
        return
    table = new_table(columns)
    for row in rows:
        table.add_row(*map(cell, row))
    Console().print(table)


def new_table(columns: Sequence[str]) -> Table:
    """Make an empty table in the house style."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def cell(text: str, style: str = "") -> Text:
    """Make a cell whose text is shown as it is."""
    return Text(safe(text), style=style)


def counted(number: int, what: str) -> str:
    """Write a number of things: `1 error`, `2 errors`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
