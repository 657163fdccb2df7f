"""Measures how long it takes until a cancellation reaches whoever holds the worker's session."""

import time
from collections.abc import Callable, Iterable

from bloge.remote_workers.errors import Reason
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.telemetry.probe import Probe

_KEPT_SECONDS = 60.0
_MOST = 10_000


class CancelWatch:
    """Notes when items were asked to be cancelled, until the order to stop is heard; idle items have no such order.

    Args:
        probe: is told.
        clock: monotonic seconds.
    """

    def __init__(self, probe: Probe, clock: Callable[[], float] = time.monotonic) -> None:
        self._probe = probe
        self._clock = clock
        self._asked: dict[tuple[Topic, str], float] = {}
        """When each item was asked to be cancelled, oldest first."""

    def asked(self, topic: Topic, item_ids: Iterable[str]) -> None:
        """Note that items are about to be cancelled."""
        now = self._clock()
        for item_id in item_ids:
            self._asked[topic, item_id] = now
        while self._asked:
            oldest = next(iter(self._asked))
            if len(self._asked) <= _MOST and self._asked[oldest] > now - _KEPT_SECONDS:
                return
            del self._asked[oldest]

    def heard(self, topic: Topic, _worker_id: str, item_id: str, _fence: str, reason: str) -> None:
        """Note an order to stop."""
        if reason == Reason.CANCELLED and (at := self._asked.pop((topic, item_id), None)) is not None:
            self._probe.cancel_heard(self._clock() - at)
