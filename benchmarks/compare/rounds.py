"""In which order systems are visited. No I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from benchmarks.compare.systems import System
from benchmarks.compare.visit import Sizes


class Turn(NamedTuple):
    """One visit of a round."""

    system: System
    sizes: Sizes
    beside: str
    """The peer beside which ours is measured; the system's own name for a peer."""


def alone(systems: Sequence[System], sizes: Sizes) -> Iterator[Turn]:
    """Yield one turn for each system, where nothing is compared."""
    return (Turn(system, sizes, system.name) for system in systems)


def turns(systems: Sequence[System], sizes: Sizes) -> Iterator[Turn]:
    """Yield the turns of one round: before each other system, ours comes, so that both meet the same machine.

    The first time all of ours is measured, then only what the ratios need.

    Args:
        systems: ours first.
        sizes: how much is measured.
    """
    ours, *others = systems
    yield Turn(ours, sizes, ours.name)
    for number, other in enumerate(others):
        if number:
            yield Turn(replace(ours, rates=()), replace(sizes, workers=(1,), recovery=False), other.name)
        yield Turn(other, sizes, other.name)
