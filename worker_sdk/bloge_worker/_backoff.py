"""How long to wait before the next session."""

from random import Random

FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
HEALTHY_AFTER = 5.0
"""Seconds after which a session counts as healthy, so that the next delay is short again."""


class Backoff:
    """Exponential delays with full jitter: uniform between 0 and 0.1, 0.2, 0.4, ... 30 s.

    Full jitter, because all workers of a server lose it in the same instant.
    """

    __slots__ = ("_ceiling", "_random")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ceiling = FIRST_DELAY

    def next_delay(self) -> float:
        """Return how many seconds to wait, and make the following wait longer."""
        delay = self._random.uniform(0.0, self._ceiling)
        self._ceiling = min(LONGEST_DELAY, 2 * self._ceiling)
        return delay

    def reset(self) -> None:
        """Start again from the shortest delay."""
        self._ceiling = FIRST_DELAY

    def slow_down(self) -> None:
        """Go to the longest delay at once: what went wrong will not mend itself soon."""
        self._ceiling = LONGEST_DELAY
