"""Whether a server can take work now."""

import asyncio
from collections.abc import Awaitable, Callable

from bloge.remote_workers.errors import Reason, RemoteWorkersError

_STORE_SECONDS = 2.0
"""A probe that waits longer than this is given up by most who ask."""


class Readiness:
    """What load balancers ask.

    Args:
        check_store: returns if the store answers.
    """

    def __init__(self, check_store: Callable[[], Awaitable[None]]) -> None:
        self._check_store = check_store
        self._serving = False

    def begin(self) -> None:
        """Note that calls are taken from now on."""
        self._serving = True

    def end(self) -> None:
        """Note that the server is leaving."""
        self._serving = False

    async def check(self) -> None:
        """Return if calls are taken and the store answers.

        Raises:
            RemoteWorkersError: SERVER_DRAINING, or STORE_UNAVAILABLE.
        """
        if not self._serving:
            raise RemoteWorkersError(Reason.SERVER_DRAINING, "this server takes no work: it is starting or stopping")
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self._check_store()
        except TimeoutError as error:
            message = f"the store does not answer within {_STORE_SECONDS:g} s"
            raise RemoteWorkersError(Reason.STORE_UNAVAILABLE, message) from error
