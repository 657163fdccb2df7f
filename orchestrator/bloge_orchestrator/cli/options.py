"""Options that several commands share, and what they stand for."""

import functools
import getpass
import importlib
import json
import sys
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_orchestrator.control_plane import ADDRESS_VARIABLE, DEFAULT_ADDRESS
from bloge_orchestrator.operators import Json, OperatorRegistry

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the control plane is, and what of it is meant."""

    address: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters are meant."""

    worker_topic: str
    criteria: ops.DeadLetterFilter


def connection_options(command: Command) -> Command:
    """Add --address and --namespace; the command takes a `connection`."""

    @click.option(
        "--address",
        envvar=ADDRESS_VARIABLE,
        default=DEFAULT_ADDRESS,
        show_default=True,
        show_envvar=True,
        metavar="HOST:PORT|unix:/PATH",
        help="Where the control plane is.",
    )
    @click.option("--namespace", default="default", show_default=True, help="The namespace of the work items.")
    @functools.wraps(command)
    def wrapper(*args: Any, address: str, namespace: str, **others: Any) -> Any:  # noqa: ANN401 - passed through
        return command(*args, connection=Connection(address, namespace), **others)

    return wrapper


def selection_options(command: Command) -> Command:
    """Add the filters of dead letters; the command takes a `selection`."""

    @click.option("--topic", default="", help="Only this worker topic.")
    @click.option("--error-type", default="", help="Only those whose last failure has this type.")
    @click.option("--operator", default="", help="Only those of this operator.")
    @click.option("--execution", default="", help="Only those of this execution.")
    @functools.wraps(command)
    def wrapper(*args: Any, topic: str, error_type: str, operator: str, execution: str, **others: Any) -> Any:  # noqa: ANN401 - passed through
        criteria = ops.DeadLetterFilter(error_type=error_type, operator_ref=operator, execution_id=execution)
        return command(*args, selection=Selection(topic, criteria), **others)

    return wrapper


def action_options(command: Command) -> Command:
    """Add who acts and why; the command takes an `action`."""

    @click.option("--reason", default="", help="Why, for the record.")
    @click.option("--actor", default=None, help="Who asks for it.  [default: the login name]")
    @functools.wraps(command)
    def wrapper(*args: Any, reason: str, actor: str | None, **others: Any) -> Any:  # noqa: ANN401 - passed through
        who = _login_name() if actor is None else actor
        action = ops.Action(request_id=str(uuid.uuid4()), actor=who, reason=reason)
        return command(*args, action=action, **others)

    return wrapper


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")

lease_option = click.option(
    "--lease-seconds",
    "lease",
    type=click.FloatRange(1, 3600),
    callback=lambda _context, _parameter, seconds: None if seconds is None else timedelta(seconds=seconds),
    help="How long an execution waits for its process if that has died.  [default: as the server says]",
)

operators_option = click.option(
    "--operators",
    callback=lambda _context, _parameter, place: None if place is None else load_registry(place),
    metavar="MODULE[:REGISTRY]",
    help="Where the local operators are: an OperatorRegistry of a module, by default the one named `registry`.",
)


def load_registry(place: str) -> OperatorRegistry:
    """Import the registry at `module:name`; the current directory is searched too.

    Raises:
        click.BadParameter: If there is none.

    """
    module_name, _, attribute = place.partition(":")
    if not module_name:
        raise click.BadParameter(f"{place!r} names no module; give it as MODULE:REGISTRY")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise click.BadParameter(f"cannot import {module_name!r}: {_cause(error)}") from error
    registry = getattr(module, attribute or "registry", None)
    if not isinstance(registry, OperatorRegistry):
        known = [name for name, value in vars(module).items() if isinstance(value, OperatorRegistry)]
        hint = f"it has {', '.join(known)}" if known else "make one with `registry = OperatorRegistry()`"
        raise click.BadParameter(f"{module_name} has no OperatorRegistry named {attribute or 'registry'!r}; {hint}")
    return registry


def _cause(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if not isinstance(error, ModuleNotFoundError) else ""
    return f"{type(error).__name__}: {error}{where}"


def read_text(path: str) -> str:
    """Read a file, or standard input for `-`.

    Raises:
        click.ClickException: If it cannot be read as UTF-8; ends the command with bad usage.

    """
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"{path} is not UTF-8 text: byte {error.start} does not fit; save it as UTF-8"
        ) from error


def read_json(option: str, given: str) -> Json:
    """Read JSON given in place, or in a file as `@file`.

    Raises:
        click.ClickException: If it is no JSON; ends the command with bad usage.

    """
    text = read_text(given[1:]) if given.startswith("@") else given
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        hint = "quote it for your shell, as in '{\"id\": 7}', or give a file as @file.json"
        raise click.UsageError(f"{option} is not JSON: {error}; {hint}") from error


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in some containers
        return ""
