"""`make chaos DURATION=60 SEED=1`: one run, judged."""

import argparse
import asyncio
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from chaos import coverage, history, plan
from chaos.evidence import Evidence
from chaos.history import Call
from chaos.run import Options, Run
from chaos.validate import judge

_ITEMS_A_SECOND = 110.0
_LEAST_A_SECOND = 5000 / 60


def main() -> int:
    """Read the flags, run and judge; return the exit code."""
    options, least = _options()
    print(f"seed {options.seed}, {options.duration:.0f} s, {options.rate:.0f} items/s, history in {options.folder}")
    for fault in plan.make(options.seed, options.duration):
        print(f"  {fault.at:6.1f} s  {fault.kind:<22} {fault.target:<10} {fault.seconds:.1f} s")
    try:
        calls = asyncio.run(_run(options))
    except asyncio.CancelledError:
        print("ended early by SIGTERM; everything is stopped, nothing was judged")
        return 1
    path = options.folder / "history.jsonl"
    history.write(path, calls)
    code = _judge(calls, least)
    print(f"history: {path}; judge it again with: python -m chaos.validate {path}")
    return code


async def _run(options: Options) -> list[Call]:
    """Run, and stop everything also when SIGTERM ends the run early."""
    running = asyncio.ensure_future(Run(options).run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


def _options() -> tuple[Options, int]:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="decides plan and items")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds of faults, 10 to 3600")
    parser.add_argument("--rate", type=float, default=_ITEMS_A_SECOND, help="items a second")
    parser.add_argument("--slots", type=int, default=16, help="items that each worker holds at once")
    parser.add_argument("--least", type=int, help="finished items wanted; in proportion to the duration if not given")
    parser.add_argument("--folder", type=Path, default=Path("build/chaos"), help="where runs are kept")
    given = parser.parse_args()
    folder = given.folder / f"seed-{given.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    least = int(given.duration * _LEAST_A_SECOND) if given.least is None else given.least
    return Options(given.seed, given.duration, given.rate, given.slots, folder), least


def _judge(calls: list[Call], least_finished: int) -> int:
    """Print what happened and what it says about the promises; return the exit code."""
    began = time.monotonic()
    evidence = Evidence(calls)
    judgements = judge(evidence)
    _print_counts(calls)
    for kind, (injected, bitten) in coverage.bites(evidence).items():
        print(f"fault {kind:<22} injected {injected}, seen to bite {bitten}")
    for name, count in coverage.events(evidence).items():
        print(f"event {name:<30} {count}")
    print(f"finished items: {coverage.finished(evidence)}, at least {least_finished} wanted")
    for judgement in judgements:
        print(judgement)
    gaps = coverage.covers(evidence, judgements, least_finished)
    for gap in gaps:
        print(f"NOT COVERED: {gap}")
    broken = [judgement.promise for judgement in judgements if judgement.violations]
    verdict = f"BROKEN: {', '.join(broken)}" if broken else "too little was covered" if gaps else "every promise held"
    print(f"{verdict} (judged in {time.monotonic() - began:.1f} s)")
    return 1 if broken or gaps else 0


def _print_counts(calls: list[Call]) -> None:
    """Print how each kind of call was answered."""
    counts = Counter((call.op, _answer_of(call)) for call in calls)
    for op in sorted({op for op, _ in counts}):
        answers = {answer: count for (of, answer), count in sorted(counts.items()) if of == op}
        print(f"{op:<16}" + ", ".join(f"{answer} {count}" for answer, count in answers.items()))


def _answer_of(call: Call) -> str:
    if call.answer is None:
        return "unanswered"
    for name in ("error", "reason", "kind"):
        if name in call.answer:
            return str(call.answer[name])
    return "ok"


if __name__ == "__main__":
    sys.exit(main())
