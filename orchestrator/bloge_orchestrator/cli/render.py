"""`bloge render`."""

from collections.abc import Callable
from pathlib import Path

import click

from bloge_orchestrator.cli.options import read_text
from bloge_orchestrator.cli.problems import BadUsage
from bloge_orchestrator.compiler import read_source
from bloge_orchestrator.diagnostics import GraphInvalid
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.graph_files import FilesOnDisk
from bloge_orchestrator.rendering import mermaid, svg

_FORMATS: dict[str, Callable[[GraphSpec], str]] = {"svg": svg, "mermaid": mermaid}
_SUFFIXES = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


@click.command()
@click.argument("file")
@click.option("--output", "-o", metavar="FILE", help="Where the picture goes.  [default: standard output]")
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(_FORMATS)),
    help="What kind of picture it is.  [default: as the output's name says, else mermaid]",
)
def render(file: str, output: str | None, form: str | None) -> None:
    """Draw the graph in FILE, or on standard input for `-`, with the graphs that it imports.

    Remote nodes are marked, and name their worker topic. Ends with 2 if the graph is invalid.
    """
    try:
        graph = read_source(read_text(file), filename=file, files=FilesOnDisk())
    except GraphInvalid as error:
        raise BadUsage(f"the graph is invalid\n{error}") from error
    named = _SUFFIXES.get(Path(output).suffix.lower()) if output else None
    picture = _FORMATS[form or named or "mermaid"](graph)
    if output is None:
        click.echo(picture, nl=False)
        return
    try:
        Path(output).write_bytes(picture.encode())
    except OSError as error:
        raise click.UsageError(f"{output} cannot be written: {error.strerror}") from error
