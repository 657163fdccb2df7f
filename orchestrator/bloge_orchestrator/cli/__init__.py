"""The `bloge` command: validates, formats, draws and runs graphs, and settles dead letters.

Exit codes: 0 done, 1 the graph or the act failed, 2 bad usage or an invalid graph, 3 no control plane, 130 interrupted.
"""

import click

from bloge_orchestrator.cli.dead_letters import dead_letters
from bloge_orchestrator.cli.format import format_files
from bloge_orchestrator.cli.problems import TellingGroup
from bloge_orchestrator.cli.render import render
from bloge_orchestrator.cli.run import run
from bloge_orchestrator.cli.validate import validate

__all__ = ["main"]


@click.group(cls=TellingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bloge-orchestrator", prog_name="bloge")
def main() -> None:
    """Validate, format, draw and run graphs whose remote nodes run on workers, and settle dead letters."""


main.add_command(validate)
main.add_command(format_files)
main.add_command(render)
main.add_command(run)
main.add_command(dead_letters)
