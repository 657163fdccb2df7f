"""`bloge validate`."""

import click

from bloge_orchestrator.cli.options import json_option, operators_option, read_text
from bloge_orchestrator.cli.output import counted, print_json
from bloge_orchestrator.cli.problems import FAILED
from bloge_orchestrator.compiler import check_source
from bloge_orchestrator.diagnostics import Diagnostic, Severity, render_all
from bloge_orchestrator.graph_files import FilesOnDisk
from bloge_orchestrator.operators import OperatorRegistry


@click.command()
@click.argument("file")
@operators_option
@json_option
def validate(file: str, operators: OperatorRegistry | None, *, as_json: bool) -> None:
    """Check the graph in FILE, or on standard input for `-`, and the graphs that it imports.

    Ends with 1 if it has errors, with 0 if there are only warnings. Without --operators, operators are not looked up.
    """
    text = read_text(file)
    diagnostics = check_source(text, filename=file, registry=operators, files=FilesOnDisk())
    valid = not any(each.severity is Severity.ERROR for each in diagnostics)
    if as_json:
        print_json({"file": file, "valid": valid, "diagnostics": [each.to_json() for each in diagnostics]})
    else:
        click.echo("\n".join([*_rendered(diagnostics, text, file), f"{file}: {_summary(diagnostics, valid=valid)}"]))
    if not valid:
        raise SystemExit(FAILED)


def _rendered(diagnostics: tuple[Diagnostic, ...], text: str, file: str) -> list[str]:
    return [render_all(diagnostics, text, file)] if diagnostics else []


def _summary(diagnostics: tuple[Diagnostic, ...], *, valid: bool) -> str:
    counts = {
        severity: sum(each.severity is severity for each in diagnostics)
        for severity in (Severity.ERROR, Severity.WARNING)
    }
    found = [counted(count, severity.value.lower()) for severity, count in counts.items() if count]
    return ", ".join(["valid" if valid else "invalid", *found])
