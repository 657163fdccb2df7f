"""Judges a history by the lease promises: `python -m chaos.validate FILE` judges a recorded one again.

Every validator is pure. It is conservative: a violation is told only where the recorded instants leave no other
explanation, so a violation is a defect, while silence is as good as the number of facts that were checked.
"""

import sys
from pathlib import Path

from chaos import history, promises_of_leases, promises_of_outcomes, promises_of_time
from chaos.evidence import Evidence
from chaos.judgement import Judgement

VALIDATORS = (*promises_of_leases.ALL, *promises_of_outcomes.ALL, *promises_of_time.ALL)
"""One for each promise."""


def judge(evidence: Evidence) -> list[Judgement]:
    """Return the judgement of each promise."""
    return [validator(evidence) for validator in VALIDATORS]


def main() -> int:
    """Judge the history that the command line names; return the exit code."""
    judgements = judge(Evidence(history.read(Path(sys.argv[1]))))
    sys.stdout.write("".join(f"{judgement}\n" for judgement in judgements))
    return 1 if any(judgement.violations for judgement in judgements) else 0


if __name__ == "__main__":
    sys.exit(main())
