"""Receipts of one session on their way to the store."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from math import inf

import structlog

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.dispatch import reporting
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Receipt
from bloge_server.store.redis_store import RedisStore

_WAIT_SHARE = 0.1
"""Of the offer lease: so long a receipt waits for a report that says more. Far too little for the offer to lapse."""
MOST_WAIT_SECONDS = 0.25
"""And no longer: workers take it that a frame half a second after a receipt shows that the store was told."""
_TOGETHER_SHARE = 0.5
"""Receipts that have waited for this part of their time go with one whose time is over."""

_log = structlog.get_logger(__name__)


class Receipts:
    """Tells the store of receipts a while later, unless a report says more by then.

    Most short items are done before, and a completed item needs no longer lease. How old a receipt is goes with it, so
    no lease becomes longer. Receipts are told even if the session has ended: a worker that dies of what it received has
    lost a lease.

    Args:
        store: where they go.
        offer_lease: seconds that an offer lasts without its receipt.
        clock: monotonic seconds.
        on_refused: told of the leases that do not stand any more, and why.
    """

    def __init__(
        self,
        store: RedisStore,
        offer_lease: float,
        clock: Callable[[], float],
        on_refused: Callable[[LeaseToken, Reason], None],
    ) -> None:
        self._store = store
        self._wait = min(offer_lease * _WAIT_SHARE, MOST_WAIT_SECONDS)
        self._clock = clock
        self._on_refused = on_refused
        self._came: dict[LeaseToken, float] = {}
        """When each of them came, the oldest first."""
        self.telling: asyncio.Task[None] | None = None
        """What tells the store; None while nothing waits."""

    def came(self, tokens: Iterable[LeaseToken]) -> None:
        """Note that the worker has what it was offered."""
        now = self._clock()
        for token in tokens:
            self._came.setdefault(token, now)
        if self._came and self.telling is None:
            self.telling = asyncio.create_task(self._tell())

    def reported(self, tokens: Iterable[LeaseToken]) -> None:
        """Note that reports have said more than the receipts would."""
        for token in tokens:
            self._came.pop(token, None)

    async def _tell(self) -> None:
        try:
            while self._came:
                oldest = next(iter(self._came.values()))
                await asyncio.sleep(oldest + self._wait - self._clock())
                for topic, receipts in self._take().items():
                    for batch in reporting.batches(receipts):
                        await self._confirm(topic, batch)
        finally:
            self.telling = None

    def _take(self) -> dict[Topic, list[Receipt]]:
        """Take what has waited long enough, by topic: nothing, if the oldest has not."""
        now = self._clock()
        oldest = next(iter(self._came.values()), now)
        latest = now - self._wait * _TOGETHER_SHARE if now - oldest >= self._wait else -inf
        by_topic: dict[Topic, list[Receipt]] = {}
        for token, at in list(takewhile(lambda each: each[1] <= latest, self._came.items())):
            del self._came[token]
            receipt = Receipt(token, int((now - at) * 1000))
            by_topic.setdefault((token.namespace, token.worker_topic), []).append(receipt)
        return by_topic

    async def _confirm(self, topic: Topic, receipts: Sequence[Receipt]) -> None:
        try:
            verdicts = await self._store.receive(*topic, receipts)
        except RemoteWorkersError as error:
            # The offers lapse at no cost, and heartbeats tell the worker.
            facts = {"namespace": topic[0], "worker_topic": topic[1], "count": len(receipts)}
            _log.warning("receipts not confirmed", error=str(error), **facts)
            return
        for (token, _), verdict in zip(receipts, verdicts, strict=True):
            if verdict.reason is not None:
                self._on_refused(token, verdict.reason)
