"""`make test-crash`: an orchestrator is killed at every boundary of an execution with every construct."""

import argparse
import asyncio
import logging
import shutil
import statistics
import sys
from collections import Counter
from pathlib import Path

from bloge_orchestrator import ExecutionResult
from crash.evidence import Evidence
from crash.judgement import violations
from crash.layout import LEASE_SECONDS
from crash.run import kill_everywhere, setting_in
from crash.trial import Scenario, run

SCENARIOS = (Scenario("everything"), Scenario("cancelled", cancelled_at=4))


class Account:
    """What a run has shown so far.

    Args:
        expected: What comes of an execution whose owner lives.
    """

    def __init__(self, expected: ExecutionResult) -> None:
        self._expected = expected
        self.deaths: Counter[str] = Counter()
        self.takeovers: list[float] = []
        self.broken = 0

    def take(self, evidence: Evidence) -> None:
        """Judge one execution, and print what is not as it should be."""
        found = list(violations(evidence, self._expected))
        self.broken += bool(found)
        where = evidence.death.boundary if evidence.death else "fenced off" if evidence.was_fenced_off else "not at all"
        for violation in found:
            print(f"  killed at {evidence.dies_at} ({where}): {violation}", flush=True)
        if evidence.death is not None:
            self.deaths[where] += 1
        if evidence.takeover_seconds is not None:
            self.takeovers.append(evidence.takeover_seconds)
        if evidence.was_fenced_off:
            print(f"  {evidence.dies_at} was not reached: the owner lost its lease first", flush=True)
        if evidence.death is not None and self.deaths.total() % 20 == 0:
            print(f"  {self.deaths.total()} killed", flush=True)

    def report(self) -> None:
        """Print the figures."""
        for boundary, count in sorted(self.deaths.items()):
            print(f"    {count:4}  {boundary}")
        late = sum(seconds > LEASE_SECONDS + 1 for seconds in self.takeovers)
        print(
            f"  {self.deaths.total()} kill points; taken over {len(self.takeovers)} times,"
            f" median {statistics.median(self.takeovers):.2f} s after the death, at most {max(self.takeovers):.2f} s;"
            f" {late} later than the lease of {LEASE_SECONDS:g} s and one second more"
        )


async def main(folder: Path, at_once: int) -> int:
    """Run every scenario; return the exit code."""
    broken = 0
    async with setting_in(folder) as setting:
        for scenario in SCENARIOS:
            whole = await run(setting, scenario, 0)
            print(
                f"{scenario.graph}: {whole.boundaries} boundaries, {len(whole.events)} events without a crash",
                flush=True,
            )
            account = Account(whole.result)
            account.take(whole)
            await kill_everywhere(setting, scenario, at_once, account.take)
            account.report()
            broken += account.broken
    print(
        f"BROKEN: {broken} executions are not as without a crash"
        if broken
        else "every execution ended as without a crash"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make test-crash", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/crash"), help="where logs and data are kept")
    parser.add_argument("--at-once", type=int, default=4, help="executions in flight")
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    given.folder.mkdir(parents=True)
    logging.basicConfig(filename=given.folder / "worker.log")  # the worker fails and rejects on purpose
    sys.exit(asyncio.run(main(given.folder, given.at_once)))
