"""What will go wrong and when: a pure function of the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chaos.layout import SERVERS, WORKERS


class Kind(StrEnum):
    """The kinds of faults."""

    KILL_SERVER = "kill_server"
    STOP_SERVER = "stop_server"
    PAUSE_SERVER = "pause_server"
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
    Kind.STOP_SERVER: (0.0, 0.0),
    # Around the silence limit of 2 s, as for half-open links.
    Kind.PAUSE_SERVER: (0.5, 3.0),
    Kind.KILL_WORKER: (0.0, 0.0),
    # Past the lease of 1 s, so that the worker comes back to leases that others have.
    Kind.PAUSE_WORKER: (1.3, 2.2),
    Kind.KILL_STORE: (0.0, 0.0),
    Kind.PAUSE_STORE: (0.3, 1.0),
    Kind.SCRIPT_FLUSH: (0.0, 0.0),
    Kind.CUT_LINK: (0.2, 1.0),
    Kind.DELAY_LINK: (0.5, 1.5),
    # Some links recover before anybody notices, some are given up.
    Kind.HALF_OPEN_LINK: (0.5, 3.0),
    Kind.CUT_STORE_LINK: (0.2, 1.0),
    Kind.HALF_OPEN_STORE_LINK: (0.3, 1.5),
}
_ON_SERVER = {
    Kind.KILL_SERVER,
    Kind.STOP_SERVER,
    Kind.PAUSE_SERVER,
    Kind.CUT_LINK,
    Kind.DELAY_LINK,
    Kind.HALF_OPEN_LINK,
    Kind.CUT_STORE_LINK,
    Kind.HALF_OPEN_STORE_LINK,
}
_RESTARTS = {Kind.KILL_SERVER, Kind.STOP_SERVER}
_RESTART_SECONDS = 4.0
_GAP_SECONDS = 0.85
_CALM_SECONDS = 7.0
_CALM_DEATH = 0.65
"""When in a calm the worker dies: after the storm's effects, and early enough to see its items come back."""
_LEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, in seconds from the start of the run, and how long it lasts."""

    at: float
    kind: Kind
    target: str
    seconds: float


def make(seed: int, duration: float) -> list[Fault]:
    """Return the faults of a run: storms with every kind of fault in each, and after each a calm with one dead worker.

    The calm is there because promises about time can only be judged when nothing else is broken.

    Args:
        seed: decides everything.
        duration: of the run in seconds, at least 10; the first and the last seconds stay free.
    """
    dice = random.Random(f"plan-{seed}")
    room = duration - 2 * _LEAD_SECONDS
    calm = min(_CALM_SECONDS, room / 4)
    storms = max(1, int(room / (len(Kind) * _GAP_SECONDS + calm)))
    gap = (room / storms - calm) / len(Kind)
    times: list[tuple[float, Kind]] = []
    for begin in (_LEAD_SECONDS + room / storms * number for number in range(storms)):
        kinds = dice.sample(list(Kind), len(Kind))
        times += [(begin + gap * (index + dice.uniform(0.0, 0.8)), kind) for index, kind in enumerate(kinds)]
        times.append((begin + gap * len(Kind) + calm * _CALM_DEATH, Kind.KILL_WORKER))
    return _aimed(dice, times)


def _aimed(dice: random.Random, times: Sequence[tuple[float, Kind]]) -> list[Fault]:
    back_at = dict.fromkeys(SERVERS, 0.0)
    faults = []
    for at, kind in times:
        # A server that is down anyway would feel nothing.
        up = [server for server in SERVERS if back_at[server] <= at] or SERVERS
        target = _target(dice, kind, up)
        if kind in _RESTARTS:
            back_at[target] = at + _RESTART_SECONDS
        faults.append(Fault(round(at, 3), kind, target, round(dice.uniform(*_SECONDS[kind]), 3)))
    return faults


def _target(dice: random.Random, kind: Kind, servers: Sequence[str]) -> str:
    if kind in _ON_SERVER:
        return dice.choice(servers)
    if kind in {Kind.KILL_WORKER, Kind.PAUSE_WORKER}:
        return dice.choice(WORKERS)
    return "store"
