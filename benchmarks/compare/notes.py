"""What workers noted: which items they ran, and when."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MICROSECONDS = 1_000_000
_LEAST_SHARE = 0.3
"""A worker that began when less than this was left to do tells nothing of how fast all work together."""


@dataclass(frozen=True, slots=True)
class Noted:
    """The runs that one worker process noted."""

    ids: Sequence[str]
    at: Sequence[int]
    """Instants, microseconds since 1970."""


def count(folder: Path) -> int:
    """Return how many runs are noted so far; cheap enough to be asked again and again."""
    return sum(path.read_bytes().count(b"\n") for path in folder.iterdir())


def read(folder: Path) -> list[Noted]:
    """Return what each process noted; a line half written is left."""
    found = []
    for path in folder.iterdir():
        text = path.read_text()
        words = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        found.append(Noted([item_id for item_id, _ in words], [int(at) for _, at in words]))
    return [noted for noted in found if noted.ids]


def ran_since(folder: Path, instant: int) -> dict[str, int]:
    """Return when each item first ran after an instant (microseconds since 1970)."""
    found: dict[str, int] = {}
    for noted in read(folder):
        for item_id, at in zip(noted.ids, noted.at, strict=True):
            if at > instant:
                found[item_id] = min(at, found.get(item_id, at))
    return found


def problems(noted: Sequence[Noted], prefix: str, items: int) -> list[str]:
    """Return what is not as it should be: each item must have run, once."""
    runs = Counter(item_id for each in noted for item_id in each.ids)
    wanted = {f"{prefix}-{number}" for number in range(items)}
    groups = {
        "never ran": wanted - runs.keys(),
        "ran though nobody enqueued them": runs.keys() - wanted,
        "ran more than once": {item_id for item_id, number in runs.items() if number > 1},
    }
    return [f"{len(ids)} items {what}, for example {min(ids)}" for what, ids in groups.items() if ids]


def rate(noted: Sequence[Noted], ended_at: int | None = None) -> float:
    """Return items a second, from the instant at which all workers were at work until the last item.

    Args:
        noted: what each worker process ran.
        ended_at: when the last item had ended, if that is known better than from the last run; same clock.
    """
    everything = sorted(at for each in noted for at in each.at)
    began = max(min(each.at) for each in noted)
    left = sum(at >= began for at in everything)
    if left < _LEAST_SHARE * len(everything):
        began, left = everything[0], len(everything)
    last = max(everything[-1], ended_at or 0)
    return left / max(1, last - began) * _MICROSECONDS
