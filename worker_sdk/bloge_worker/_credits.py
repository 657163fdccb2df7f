"""The window for offers: how many items and bytes the server may have offered in this session in all."""

from collections.abc import Mapping

from bloge.remote_workers.v1 import work_stream_pb2


class CreditWindow:
    """Credits of one session.

    The server may offer while what it has offered is below what was granted. So at any time

        granted - offered + held <= slots

    and the grant that restores equality is `offered + slots - held`. Grants are cumulative totals: repeating one grants
    nothing. A grant waits until a third of the slots is free, which makes frames few when items are many, unless the
    server has nothing left to offer on, which keeps a lone slot from waiting for others.

    The same goes for each topic of which fewer items can run at once than there are slots: else those that wait for
    their turn would fill the slots, and the other topics would get nothing.

    Args:
        slots: how many items may be held.
        max_bytes: how many payload bytes may be held.
        topic_limits: how many items of a topic may be held, where that is less.
    """

    __slots__ = (
        "_bytes_granted",
        "_bytes_offered",
        "_items_granted",
        "_items_offered",
        "_max_bytes",
        "_slots",
        "_topics",
    )

    def __init__(self, slots: int, max_bytes: int, topic_limits: Mapping[str, int]) -> None:
        self._slots = slots
        self._topics = {topic: _TopicWindow(limit) for topic, limit in topic_limits.items() if limit < slots}
        self._max_bytes = max_bytes
        self._items_offered = self._items_granted = 0
        self._bytes_offered = self._bytes_granted = 0

    @property
    def outstanding(self) -> int:
        """Items that the server may still offer."""
        return self._items_granted - self._items_offered

    def offered(self, items: int, payload_bytes: int) -> None:
        """Count an offer that arrived."""
        self._items_offered += items
        self._bytes_offered += payload_bytes

    def offered_of(self, worker_topic: str) -> None:
        """Count an item of an offer for its topic."""
        window = self._topics.get(worker_topic)
        if window is not None:
            window.offered += 1

    def grant(self, held_items: int, held_bytes: int, held_of: Mapping[str, int]) -> work_stream_pb2.Credits | None:
        """Return the grant to send now, if one is due.

        Args:
            held_items: items that occupy a slot, of this session and of earlier ones.
            held_bytes: their payload bytes.
            held_of: how many of them are of each topic.
        """
        items = max(self._items_granted, self._items_offered + self._slots - held_items)
        # At least 1: a total of 0 would mean "without limit".
        payload_bytes = max(self._bytes_granted, self._bytes_offered + self._max_bytes - held_bytes, 1)
        if not (
            _is_due(items - self._items_granted, self.outstanding, self._slots)
            or _is_due(payload_bytes - self._bytes_granted, self._bytes_granted - self._bytes_offered, self._max_bytes)
            or any(window.is_due(held_of.get(topic, 0)) for topic, window in self._topics.items())
        ):
            return None
        self._items_granted, self._bytes_granted = items, payload_bytes
        grant = work_stream_pb2.Credits(items_total=items, bytes_total=payload_bytes)
        for topic, window in self._topics.items():
            grant.topics.add(worker_topic=topic, items_total=window.grant(held_of.get(topic, 0)))
        return grant


class _TopicWindow:
    """Credits of one topic."""

    __slots__ = ("_granted", "_limit", "offered")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._granted = 0
        self.offered = 0

    def is_due(self, held: int) -> bool:
        """Tell whether a grant is due."""
        return _is_due(self._total(held) - self._granted, self._granted - self.offered, self._limit)

    def grant(self, held: int) -> int:
        """Grant what is free; return the total."""
        self._granted = self._total(held)
        return self._granted

    def _total(self, held: int) -> int:
        return max(self._granted, self.offered + self._limit - held)


def _is_due(fresh: int, outstanding: int, capacity: int) -> bool:
    return fresh > 0 and (outstanding <= 0 or 3 * fresh >= capacity)
