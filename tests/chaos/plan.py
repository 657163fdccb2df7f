"""What will go wrong and when: a pure function of the seed."""

import random
from dataclasses import dataclass
from enum import StrEnum

from chaos.layout import SERVERS, WORKERS


class Kind(StrEnum):
    """The kinds of faults."""

    KILL_SERVER = "kill_server"
    KILL_WORKER = "kill_worker"
    PAUSE_WORKER = "pause_worker"
    KILL_STORE = "kill_store"
    PAUSE_STORE = "pause_store"
    SCRIPT_FLUSH = "script_flush"
    CUT_LINK = "cut_link"
    DELAY_LINK = "delay_link"
    HALF_OPEN_LINK = "half_open_link"
    CUT_STORE_LINK = "cut_store_link"
    HALF_OPEN_STORE_LINK = "half_open_store_link"


_SECONDS = {
    Kind.KILL_SERVER: (0.0, 0.0),
    Kind.KILL_WORKER: (0.0, 0.0),
    # Past the lease of 1 s, so that the worker comes back to leases that others have.
    Kind.PAUSE_WORKER: (1.3, 2.2),
    Kind.KILL_STORE: (0.0, 0.0),
    Kind.PAUSE_STORE: (0.3, 1.0),
    Kind.SCRIPT_FLUSH: (0.0, 0.0),
    Kind.CUT_LINK: (0.2, 1.0),
    Kind.DELAY_LINK: (0.5, 1.5),
    # Around the silence limit of 2 s: some links recover before anybody notices, some are given up.
    Kind.HALF_OPEN_LINK: (0.5, 3.0),
    Kind.CUT_STORE_LINK: (0.2, 1.0),
    Kind.HALF_OPEN_STORE_LINK: (0.3, 1.5),
}
_ON_SERVER = {
    Kind.KILL_SERVER,
    Kind.CUT_LINK,
    Kind.DELAY_LINK,
    Kind.HALF_OPEN_LINK,
    Kind.CUT_STORE_LINK,
    Kind.HALF_OPEN_STORE_LINK,
}
_MEAN_GAP_SECONDS = 1.4
_LEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, in seconds from the start of the run, and how long it lasts."""

    at: float
    kind: Kind
    target: str
    seconds: float


def make(seed: int, duration: float) -> list[Fault]:
    """Return the faults of a run: every kind before any comes again, every kind at least once.

    Args:
        seed: decides everything.
        duration: of the run in seconds, at least 10; the first and the last seconds stay free.
    """
    dice = random.Random(f"plan-{seed}")
    room = duration - 2 * _LEAD_SECONDS
    count = max(len(Kind), int(room / _MEAN_GAP_SECONDS))
    gap = room / count
    kinds: list[Kind] = []
    while len(kinds) < count:
        kinds += dice.sample(list(Kind), len(Kind))
    return [
        _fault(dice, kind, _LEAD_SECONDS + gap * (index + dice.uniform(0.0, 0.8)))
        for index, kind in enumerate(kinds[:count])
    ]


def _fault(dice: random.Random, kind: Kind, at: float) -> Fault:
    if kind in _ON_SERVER:
        target = dice.choice(SERVERS)
    elif kind in {Kind.KILL_WORKER, Kind.PAUSE_WORKER}:
        target = dice.choice(WORKERS)
    else:
        target = "store"
    return Fault(round(at, 3), kind, target, round(dice.uniform(*_SECONDS[kind]), 3))
