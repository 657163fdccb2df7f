"""How long to wait before the control plane is tried again."""

from random import Random

FIRST_DELAY = 0.1
LONGEST_DELAY = 10.0


class FullJitter:
    """Delays in seconds, uniform between 0 and 0.1, 0.2, 0.4, ... 10 s.

    Full jitter, because every orchestrator of a server loses it in the same instant.
    """

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
