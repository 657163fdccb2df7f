"""The `bloge` command: validates, formats and draws graphs, starts and runs executions, and operates the control plane.

Exit codes: 0 done, 1 the graph or the act failed, 2 bad usage or an invalid graph, 3 no control plane, 130 interrupted.
"""

import click

from bloge_orchestrator.cli.actions import actions
from bloge_orchestrator.cli.audit import audit
from bloge_orchestrator.cli.dead_letters import dead_letters
from bloge_orchestrator.cli.executions import executions
from bloge_orchestrator.cli.format import format_files
from bloge_orchestrator.cli.items import items
from bloge_orchestrator.cli.journal import journal
from bloge_orchestrator.cli.orchestrate import orchestrate
from bloge_orchestrator.cli.problems import TellingGroup
from bloge_orchestrator.cli.render import render
from bloge_orchestrator.cli.run import run
from bloge_orchestrator.cli.start import start
from bloge_orchestrator.cli.topics import topics
from bloge_orchestrator.cli.validate import validate
from bloge_orchestrator.cli.workers import workers

__all__ = ["main"]


@click.group(cls=TellingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bloge-orchestrator", prog_name="bloge")
def main() -> None:
    """Validate, format and draw graphs, run them with their remote nodes on workers, and operate the control plane."""


_GRAPHS = (validate, format_files, render, run, start, orchestrate, executions)
_CONTROL_PLANE = (topics, workers, items, dead_letters, journal, actions, audit)
for command in (*_GRAPHS, *_CONTROL_PLANE):
    main.add_command(command)
