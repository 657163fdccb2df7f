"""What the commands share that take a graph."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from bloge_orchestrator.cli.options import Command, read_json, read_text
from bloge_orchestrator.cli.problems import BadUsage
from bloge_orchestrator.compiled import CompiledGraph
from bloge_orchestrator.compiler import compile_source, read_source
from bloge_orchestrator.diagnostics import GraphInvalid
from bloge_orchestrator.graph import GraphSpec
from bloge_orchestrator.graph_files import FilesOnDisk
from bloge_orchestrator.operators import Json, OperatorRegistry
from bloge_orchestrator.serving import DEFAULT_TOPIC


@dataclass(frozen=True, slots=True)
class Beginning:
    """What an execution begins with, besides its graph."""

    input: Mapping[str, Json]
    business_key: str
    worker_topic: str


def start_options(command: Command) -> Command:
    """Add --input, --key and --topic; the command takes a `beginning`."""

    @click.option("--input", "text", default="{}", metavar="JSON|@FILE", help="The execution's input, an object.")
    @click.option("--key", "business_key", default="", help="Starting again with the same key is the same execution.")
    @click.option(
        "--topic",
        default=DEFAULT_TOPIC,
        show_default=True,
        help="The topic that the graph's orchestrators claim from.",
    )
    @wraps(command)
    def wrapper(*args: Any, text: str, business_key: str, topic: str, **others: Any) -> Any:  # noqa: ANN401 - passed through
        return command(*args, beginning=Beginning(_input(text), business_key, topic), **others)

    return wrapper


def compiled(file: str, registry: OperatorRegistry, *, hint: str = "") -> CompiledGraph:
    """Compile the graph in a file, or on standard input for `-`.

    Args:
        file: The file.
        registry: The local operators.
        hint: What to add if an operator is unknown.

    Raises:
        BadUsage: If the graph is invalid.

    """
    with _told(hint):
        return compile_source(read_text(file), filename=file, registry=registry, files=_beside(file))


def specified(file: str) -> GraphSpec:
    """Read the graph in a file, or on standard input for `-`, without looking its operators up.

    Raises:
        BadUsage: If the graph is invalid.

    """
    with _told(""):
        return read_source(read_text(file), filename=file, files=_beside(file))


def _beside(file: str) -> FilesOnDisk | None:
    return None if file == "-" else FilesOnDisk()


@contextmanager
def _told(hint: str) -> Iterator[None]:
    try:
        yield
    except GraphInvalid as error:
        unknown = any(each.code == "unknown-operator" for each in error.diagnostics)
        raise BadUsage(f"the graph is invalid\n{error}{hint if unknown else ''}") from error


def _input(text: str) -> Mapping[str, Json]:
    given = read_json("--input", text)
    if not isinstance(given, dict):
        raise click.UsageError("--input must be a JSON object of fields, as in '{\"id\": 7}'")
    return given
