"""Somebody who watches the outcomes of a store, for tests of what its calls tell."""

from bloge_server.domain.work_item import Emission
from bloge_server.store.keys import Topic
from bloge_server.store.redis_store import RedisStore


class Watching:
    """Watchers of every topic of a store, who keep what they are told.

    Args:
        store: whose calls tell them from now on.
    """

    def __init__(self, store: RedisStore) -> None:
        self.emissions: list[Emission] = []
        self.looks = 0
        """How often they were told to look again."""
        store.handover.watchers = self

    def watch_any(self, topic: Topic) -> bool:
        """Return that somebody watches."""
        del topic
        return True

    def arose(self, emission: Emission) -> None:
        """Keep it."""
        self.emissions.append(emission)

    def look_again(self, topic: Topic) -> None:
        """Count."""
        del topic
        self.looks += 1
