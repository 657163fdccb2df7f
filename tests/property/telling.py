"""What calls tell of the outcomes that they wrote, held against what a read brings."""

from bloge_server.store.redis_store import RedisStore
from support.watching import Watching

_MOST = 1000


class Told:
    """What the calls of a store tell."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._watching = Watching(store)

    async def check(self) -> None:
        """Compare what the last call told with the outboxes.

        Raises:
            AssertionError: a watcher would have got something else by reading.
        """
        emissions, self._watching.emissions = self._watching.emissions, []
        for topic, group, before, place, outcomes in emissions:
            page = await self._store.read_outbox(*topic, group, after=before, limit=_MOST)
            assert page.place <= place, f"{group} was said to end at {place}, ends at {page.place}"
            if outcomes is not None:
                # Earlier attempts say nothing about an output, or a business error, and are not told.
                read = [outcome._replace(history=b"") for outcome in page.outcomes]
                assert outcomes == read, f"{group} was told {outcomes}, has {read}"
