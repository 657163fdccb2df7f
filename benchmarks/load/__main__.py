"""`make load`, `bloge-load`: puts a load on a server and checks that every item ended exactly once."""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import hardware, results
from benchmarks.load import flags
from benchmarks.load.page import page
from benchmarks.load.profiles import ProfileError
from benchmarks.load.report import progress, summary
from benchmarks.load.run import run
from benchmarks.load.sampler import Sample
from benchmarks.processes import Server
from bloge_orchestrator.errors import ControlPlaneUnreachableError, InvalidAddressError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a load.

    Returns:
        The exit code: 0 if every item ended exactly once, 1 if not, 2 if it could not run.
    """
    options = flags.parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        profile = flags.profile(options)
        with ExitStack() as stack:
            address, processes = options.address, _none
            if not address:
                store = ("--redis-url", options.redis_url) if options.redis_url else ()
                server = Server.start(*store, processes=options.server_processes)
                stack.callback(server.stop)
                address, processes = server.address, server.processes
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bloge-load-notes-")))
            figures, samples = asyncio.run(run(profile, address, processes, folder, _tell))
    except (ProfileError, ControlPlaneUnreachableError, InvalidAddressError, RuntimeError) as error:
        print(f"bloge-load: {error}", file=sys.stderr)
        return 2
    except ExceptionGroup as group:
        for each in group.exceptions:
            print(f"bloge-load: {each}", file=sys.stderr)
        return 2
    print("\n".join(summary(figures)))
    machine = hardware.describe()
    name = f"load-{profile.name}"
    record = {"kind": "load", "when": results.stamp(), "hardware": machine}
    record |= {"server_processes": options.server_processes}
    results.append(options.json or results.FOLDER / f"{name}.jsonl", record | figures.record())
    html = options.html or results.FOLDER / f"{name}.html"
    html.write_text(page(figures, samples, machine))
    print(f"report: {html}")
    return 1 if figures.accounts.problems else 0


def _none() -> Mapping[str, list[int]]:
    """Return no process: another's server is looked at from outside only."""
    return {}


def _tell(before: Sample, now: Sample) -> None:
    print(progress(before, now), flush=True)


if __name__ == "__main__":
    sys.exit(main())
