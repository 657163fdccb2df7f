"""The `bloge-worker` command: runs a worker that a module defines."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from bloge_worker.errors import WorkerError
from bloge_worker.worker import Worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `module:worker` until it is told to stop.

    Returns:
        The exit code: 0 after a drain, 1 if the worker was refused or cannot run, 2 if it was not found.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sys.path.insert(0, str(Path.cwd()))
    try:
        worker = _find(options.worker)
    except LookupError as error:
        print(f"bloge-worker: {error}", file=sys.stderr)
        return 2
    changes = {"address": options.address, "slots": options.slots}
    try:
        worker.reconfigure(**{name: value for name, value in changes.items() if value is not None})
        worker.run_forever()
    except WorkerError as error:
        print(f"bloge-worker: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bloge-worker", description="Run a worker that a Python module defines.")
    parser.add_argument("worker", metavar="module:worker", help="where the Worker is, for example shop.handlers:worker")
    parser.add_argument("--address", help="the server, host:port or unix:/path (default: the worker's own)")
    parser.add_argument("--slots", type=int, help="how many items it holds at once (default: the worker's own)")
    parser.add_argument(
        "--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"], help="least level logged"
    )
    return parser


def _find(place: str) -> Worker:
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise LookupError(f"{place!r} is not of the form module:worker")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise LookupError(f"cannot import {module_name}: {error}") from error
    worker = getattr(module, attribute, None)
    if isinstance(worker, Worker):
        return worker
    raise LookupError(f"{module_name} has no Worker named {attribute!r}")


if __name__ == "__main__":
    sys.exit(main())
