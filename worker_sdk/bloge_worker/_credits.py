"""The window for offers: how many items and bytes the server may have offered in this session in all."""

from bloge.remote_workers.v1 import work_stream_pb2


class CreditWindow:
    """Credits of one session.

    The server may offer while what it has offered is below what was granted. So at any time

        granted - offered + held <= slots

    and the grant that restores equality is `offered + slots - held`. Grants are cumulative totals: repeating one grants
    nothing. A grant waits until a third of the slots is free, which makes frames few when items are many, unless the
    server has nothing left to offer on, which keeps a lone slot from waiting for others.

    Args:
        slots: how many items may be held.
        max_bytes: how many payload bytes may be held.
    """

    __slots__ = ("_bytes_granted", "_bytes_offered", "_items_granted", "_items_offered", "_max_bytes", "_slots")

    def __init__(self, slots: int, max_bytes: int) -> None:
        self._slots = slots
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

    def grant(self, held_items: int, held_bytes: int) -> work_stream_pb2.Credits | None:
        """Return the grant to send now, if one is due.

        Args:
            held_items: items that occupy a slot, of this session and of earlier ones.
            held_bytes: their payload bytes.
        """
        items = max(self._items_granted, self._items_offered + self._slots - held_items)
        # At least 1: a total of 0 would mean "without limit".
        payload_bytes = max(self._bytes_granted, self._bytes_offered + self._max_bytes - held_bytes, 1)
        if not (
            _is_due(items - self._items_granted, self.outstanding, self._slots)
            or _is_due(payload_bytes - self._bytes_granted, self._bytes_granted - self._bytes_offered, self._max_bytes)
        ):
            return None
        self._items_granted, self._bytes_granted = items, payload_bytes
        return work_stream_pb2.Credits(items_total=items, bytes_total=payload_bytes)


def _is_due(fresh: int, outstanding: int, capacity: int) -> bool:
    return fresh > 0 and (outstanding <= 0 or 3 * fresh >= capacity)
