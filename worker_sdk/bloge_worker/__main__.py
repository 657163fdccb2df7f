"""The `bloge-worker` command: runs a worker that a module defines."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bloge_worker._reload import run_reloading
from bloge_worker.config import Security
from bloge_worker.errors import WorkerError
from bloge_worker.worker import Worker

_SETTINGS = ("address", "namespace", "slots", "drain_grace", "health_port", "health_host")
_SECURITY = ("ca_file", "certificate_file", "key_file", "token_file", "plaintext")


class _NotFoundError(Exception):
    """There is no such worker."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `module:worker` until it is told to stop.

    Args:
        arguments: of the command; None: those of the process.

    Returns:
        The exit code: 0 after a drain, 1 if the worker was refused or cannot run, 2 if it was not found.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = make_parser().parse_args(given)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        if options.reload:
            return run_reloading([each for each in given if each != "--reload"], Path.cwd())
        sys.path.insert(0, str(Path.cwd()))
        worker = _find(options.worker)
        worker.reconfigure(**_changes(options, worker))
        worker.run_forever()
    except _NotFoundError as error:
        print(f"bloge-worker: {error}", file=sys.stderr)
        return 2
    except WorkerError as error:
        print(f"bloge-worker: {error}", file=sys.stderr)
        return 1
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="bloge-worker",
        description="Run the worker that a module defines. SIGTERM or SIGINT drains it, a second stops it at once.",
        epilog="A flag that is left out leaves the worker's own setting as it is.",
        allow_abbrev=False,
    )
    parser.add_argument("worker", metavar="module:worker", help="where the Worker is, for example shop.handlers:worker")
    parser.add_argument("--address", metavar="ADDRESS", help="the server, host:port or unix:/path")
    parser.add_argument("--namespace", metavar="NAME", help="whose work items it runs")
    parser.add_argument("--slots", type=int, metavar="N", help="how many items it holds at once")
    parser.add_argument(
        "--drain-grace", type=float, metavar="SECONDS", help="how long held items may still run once a drain begins"
    )
    health = parser.add_argument_group("probes and metrics")
    health.add_argument("--health-port", type=int, metavar="PORT", help="serve /livez, /readyz and /metrics there")
    health.add_argument(
        "--health-host", metavar="HOST", help="listen there, 0.0.0.0 for the probes of a container platform"
    )
    security = parser.add_argument_group("security (any of these turns TLS on, except --plaintext)")
    security.add_argument("--ca-file", type=Path, metavar="PEM", help="authorities that may vouch for the server")
    security.add_argument("--certificate-file", type=Path, metavar="PEM", help="the worker's certificate, for mTLS")
    security.add_argument("--key-file", type=Path, metavar="PEM", help="the private key of the certificate")
    security.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the bearer token; read for each session"
    )
    security.add_argument(
        "--plaintext", action="store_true", default=None, help="send the token without TLS: loopback and unix sockets"
    )
    other = parser.add_argument_group("running")
    other.add_argument(
        "--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="least level logged"
    )
    other.add_argument(
        "--reload", action="store_true", help="start again when a Python file below this folder changes (development)"
    )
    return parser


def _changes(options: argparse.Namespace, worker: Worker) -> dict[str, object]:
    changes = {name: value for name in _SETTINGS if (value := getattr(options, name)) is not None}
    security = {name: value for name in _SECURITY if (value := getattr(options, name)) is not None}
    if security:
        changes["security"] = replace(worker.config.security or Security(), **security)
    return changes


def _find(place: str) -> Worker:
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise _NotFoundError(f"{place!r} is not of the form module:worker")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # The module is there, and misses something itself: its traceback says where.
        raise _NotFoundError(f"cannot import {module_name}: {error}") from error
    worker = getattr(module, attribute, None)
    if isinstance(worker, Worker):
        return worker
    raise _NotFoundError(f"{module_name} has no Worker named {attribute!r}")


if __name__ == "__main__":
    sys.exit(main())
