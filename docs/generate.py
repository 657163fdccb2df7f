"""Writes the pages that repeat code: `generate.py` writes them, `generate.py --check` only compares."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import CODES
from bloge_orchestrator import diagnostic_codes
from bloge_orchestrator.cli import main as bloge
from bloge_orchestrator.execution.events import EVENT_TYPES
from bloge_server.config import Settings
from bloge_server.domain.lifecycle import INDEX_OF, TRANSITIONS, Status
from bloge_server.http.gateway import openapi
from bloge_server.http.gateway import routes as gateway
from bloge_server.http.gateway.calls import Calls
from bloge_server.store import keys, scripts
from bloge_server.telemetry.catalogue import CATALOGUE, OTHER
from docs.timelines import picture
from docs.worker_reference import reference

HERE = Path(__file__).parent
_METRICS = f"""# Metrics of the server

`/metrics` on the HTTP address (`--http-listen`), for Prometheus; beside these there are the usual `process_*` ones.
Depths are read from the store when somebody asks, at most once a second, and are the same on every server of a store:
take the maximum. Everything else is what one server did or has: add it up. Times are in seconds.

The first `--metrics-topics` topics that a server meets have numbers of their own; all others share the labels
`{OTHER}`, and their depths are read a hundred topics at a time, so that each is looked at now and then. Items, workers
and executions are never labels.

[`deploy/`](../deploy) has alert rules and a dashboard, [`runbook.md`](runbook.md) says what to do.
"""
_JOURNAL_EVENTS = """# Events of an execution's journal

`bloge executions journal` prints them, `ExecutionHandle.events()` yields them, and `ExecutionService.ReadEvents` gives
them to any language. Each has a sequence number (from 1, without gaps), the time when it was decided, by the clock of
its orchestrator, and if it is about a node the node's path; the rest is its data, as JSON.
"""
NOTE = "<!-- Made by `make docs` from the code; do not edit. -->\n"


def lifecycle() -> str:
    """Return the page of the life of a work item."""
    lines = [NOTE, "# The life of a work item\n", "```mermaid", "stateDiagram-v2", "  [*] --> READY: enqueue"]
    lines.append("  [*] --> RETRY_WAIT: enqueue with a start delay")
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for (status, event), targets in TRANSITIONS.items():
        for target in sorted(targets):
            arrows.setdefault((status, target), []).append(event.value)
    lines += [f"  {start} --> {end}: {', '.join(events)}" for (start, end), events in arrows.items()]
    lines += ["  DONE --> [*]: retention over", "  CANCELLED --> [*]: retention over", "```\n"]
    lines += ["| status | stands in |", "|---|---|"]
    lines += [
        f"| {status} | `{INDEX_OF[status]}` |" if status in INDEX_OF else f"| {status} | no status index |"
        for status in Status
    ]
    lines += [
        "\nAn open item with a suspend deadline stands in `deadlines` too; an outcome that nobody acknowledged in its"
    ]
    lines += ["outbox; a finished item in `finished` until its retention is over.\n"]
    lines += ["| from | event | to |", "|---|---|---|"]
    lines += [
        f"| {status} | {event} | {', '.join(sorted(targets))} |" for (status, event), targets in TRANSITIONS.items()
    ]
    return "\n".join(lines) + "\n"


def store() -> str:
    """Return the page of keys and scripts."""
    table = (keys.__doc__ or "").partition("\n\n")[2].strip()
    lines = [
        NOTE,
        "# The store\n",
        "All keys of a topic share one hash tag, so each script stays in one slot.\n",
        table,
    ]
    lines += ["\n## Scripts\n", "| script | what it does | transition | atomic |", "|---|---|---|---|"]
    for name in scripts.names():
        script = scripts.load(name)
        header = script.header
        lines.append(f"| `{name}` | {script.summary} | {header['Transition']} | {header['Atomic']} |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Return the page of error reasons."""
    lines = [NOTE, "# Error reasons\n", "What each one means, and what to do, stands in `error_reason.proto`.\n"]
    lines += ["| reason | status code |", "|---|---|"]
    lines += [f"| {reason} | {CODES[reason].name} |" for reason in Reason]
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Return the page of the server's settings."""
    lines = [NOTE, "# Settings of the server\n"]
    lines += ["| flag | variable | default | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        text = " ".join((field.description or "").split())
        default = f"`{field.default}`" if field.default not in {"", None} else ""
        lines.append(f"| `--{name.replace('_', '-')}` | `BLOGE_{name.upper()}` | {default} | {text} |")
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """Return the page of metrics."""
    lines = [NOTE, _METRICS, "| metric | type | labels | what it tells |", "|---|---|---|---|"]
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(lines) + "\n"


def openapi_document() -> str:
    """Return the description of the JSON gateway."""
    calls = cast("Calls", None)  # only described, never called
    return json.dumps(openapi.document(gateway.endpoints(calls), "0.1.0"), indent=1) + "\n"


def commands() -> str:
    """Return the page of the `bloge` command: its help texts."""
    lines = [NOTE, "# The `bloge` command\n"]
    for name, command in _leaves("bloge", bloge):
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        lines += [f"## {name}\n", "```", command.get_help(context), "```\n"]
    return "\n".join(lines)


def _leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    for each, below in sorted(command.commands.items()):
        yield from _leaves(f"{name} {each}", below)


def worker_reference() -> str:
    """Return the page of everything a worker's author can name."""
    return f"{NOTE}\n{reference()}"


def diagnostics() -> str:
    """Return the page of what can be wrong with a graph."""
    lines = [NOTE, "# What can be wrong with a graph\n"]
    lines += ["`bloge validate` gives each finding a code; `--json` gives it to programs. Codes are stable.\n"]
    lines += ["| code | severity | what it means |", "|---|---|---|"]
    for code, meaning in diagnostic_codes.CODES.items():
        severity = "warning" if code in diagnostic_codes.WARNINGS else "error"
        lines.append(f"| `{code}` | {severity} | {meaning} |")
    return "\n".join(lines) + "\n"


def journal_events() -> str:
    """Return the page of the events of an execution's journal."""
    lines = [
        NOTE,
        _JOURNAL_EVENTS,
        "| type | what happened | data |",
        "|---|---|---|",
    ]
    for cls in EVENT_TYPES:
        members = ", ".join(f"`{name}`" for name in cls.members()) or "nothing"
        lines.append(f"| `{cls.TYPE}` | {' '.join((cls.__doc__ or '').split())} | {members} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "lifecycle.md": lifecycle,
    "store.md": store,
    "errors.md": errors,
    "settings.md": settings,
    "metrics.md": metrics,
    "openapi.json": openapi_document,
    "commands.md": commands,
    "worker/reference.md": worker_reference,
    "diagnostics.md": diagnostics,
    "resilience.svg": picture,
    "journal-events.md": journal_events,
}


def main() -> int:
    """Write or check the pages."""
    stale = [name for name, page in PAGES.items() if not _is_current(name, page())]
    if sys.argv[1:] == ["--check"]:
        for name in stale:
            print(f"docs/{name} is not what the code says; run 'make docs'")
        return 1 if stale else 0
    for name in stale:
        (HERE / name).write_text(PAGES[name]())
    return 0


def _is_current(name: str, text: str) -> bool:
    path = HERE / name
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
