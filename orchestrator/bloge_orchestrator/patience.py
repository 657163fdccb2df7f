"""What to do while the server, or its store, is away: wait, and try again for as long as need be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_orchestrator.backoff import FullJitter
from bloge_orchestrator.errors import ControlPlaneUnreachableError

PASSING = frozenset(
    {
        Reason.STORE_UNAVAILABLE,
        Reason.STORE_FULL,
        Reason.SERVER_DRAINING,
        Reason.BACKLOG_FULL,
        Reason.UNKNOWN_SCHEMA,
    }
)
"""Refusals that time mends."""

_log = logging.getLogger("bloge_orchestrator")
_T = TypeVar("_T")


class Patience:
    """Waits longer and longer between tries, and says so.

    Args:
        what: What cannot be done for now, for the log: `work items cannot be enqueued`.
        random: Spreads the tries.
    """

    def __init__(self, what: str, random: Random) -> None:
        self._what = what
        self._backoff = FullJitter(random)

    async def wait(self, cause: RemoteWorkersError | ControlPlaneUnreachableError) -> None:
        """Wait before the next try."""
        told = cause.retry_delay_seconds if isinstance(cause, RemoteWorkersError) else None
        delay = max(self._backoff.next_delay(), told or 0.0)
        _log.warning("%s for now: %s; trying again in %.1f s", self._what, cause, delay)
        await asyncio.sleep(delay)

    async def insist(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call, which may be made again, until it is answered.

        Raises:
            RemoteWorkersError: If it is refused for a reason that time does not mend.

        """
        while True:
            try:
                return await call()
            except ControlPlaneUnreachableError as error:
                await self.wait(error)
            except RemoteWorkersError as error:
                if error.reason not in PASSING:
                    raise
                await self.wait(error)
