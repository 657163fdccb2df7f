"""Notices when the user's event loop does not turn."""

import asyncio
import logging
from collections.abc import Callable
from math import inf

LONGEST_TURN = 1.0
"""Seconds after which a loop counts as blocked, and between two looks at it."""

_log = logging.getLogger("bloge_worker")


class LoopWatch:
    """Asks the loop for a sign of life once a second while `async` handlers run.

    Args:
        loop: the user's event loop.
        clock: monotonic seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self._loop = loop
        self._clock = clock
        self._asked_at: float | None = None
        self._answered_after = 0.0
        self._warned = False
        self._next_look = -inf

    def look(self, now: float) -> None:
        """Ask, or complain that the last question is unanswered."""
        if now < self._next_look:
            return
        self._next_look = now + LONGEST_TURN
        if self._asked_at is None:
            self._asked_at = now
            self._loop.call_soon_threadsafe(self._answer)
        elif not self._warned and now - self._asked_at >= LONGEST_TURN:
            self._warned = True
            _log.warning(
                "the event loop has not turned for %.1f s: a handler blocks it. Leases are kept alive, but no other "
                "async handler runs; use a plain def, or executor='process'",
                now - self._asked_at,
            )

    @property
    def lag(self) -> float:
        """How many seconds the loop last took to answer, or has not answered for now."""
        asked_at = self._asked_at
        return self._answered_after if asked_at is None else max(self._answered_after, self._clock() - asked_at)

    @property
    def next_look(self) -> float:
        """When to look again."""
        return self._next_look

    def _answer(self) -> None:
        assert self._asked_at is not None, "the loop answers a question"
        self._answered_after, self._asked_at = self._clock() - self._asked_at, None
        if self._warned:
            self._warned = False
            _log.warning("the event loop turns again after %.1f s", self._answered_after)
