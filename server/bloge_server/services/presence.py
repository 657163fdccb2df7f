"""Keeps the list of workers current, and knows who was asked to leave."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.store.workers import WorkerCard, WorkerList

INTERVAL_SECONDS = 10.0
"""How old a list of workers may be, and how long it takes at most until a request to leave is known whose herald was
lost. All workers of a namespace share one call."""

_log = structlog.get_logger(__name__)


class Presence:
    """The workers of this server, as the store is told of them.

    Args:
        workers: where they are listed.
    """

    def __init__(self, workers: WorkerList) -> None:
        self._workers = workers
        self._in_sessions: Callable[[], Iterable[tuple[str, WorkerCard]]] = tuple
        self._tell_to_leave: Callable[[str, str], None] = lambda _namespace, _worker_id: None
        self._claimed: defaultdict[str, dict[str, WorkerCard]] = defaultdict(dict)
        self._asked: defaultdict[str, set[str]] = defaultdict(set)
        self._told: dict[tuple[str, str], WorkerCard] = {}
        """What the store knows from here."""

    def watch(
        self,
        in_sessions: Callable[[], Iterable[tuple[str, WorkerCard]]],
        tell_to_leave: Callable[[str, str], None],
    ) -> None:
        """Have somebody tell who is here.

        Args:
            in_sessions: returns the namespace and the card of every worker that has a session.
            tell_to_leave: called with namespace and id of a worker that was asked to leave, and again.
        """
        self._in_sessions = in_sessions
        self._tell_to_leave = tell_to_leave

    async def register(self, namespace: str, card: WorkerCard) -> int:
        """List a worker; return the time in ms.

        Raises:
            RemoteWorkersError: the store cannot be reached.
        """
        now, self._asked[namespace] = await self._workers.note(namespace, [card])
        return now

    async def tell_servers(self, namespace: str, card: WorkerCard, opened_ms: int) -> None:
        """Have other servers let go of earlier sessions of a worker: what they offer it never arrives."""
        with suppress(RemoteWorkersError):  # they find out by the worker's silence
            await self._workers.tell_session(namespace, card, opened_ms)

    def claimed(self, namespace: str, worker_id: str, worker_topic: str) -> None:
        """Note a sign of life of a worker on the unary calls."""
        cards = self._claimed[namespace]
        before = cards[worker_id].worker_topics if worker_id in cards else ()
        cards[worker_id] = WorkerCard(worker_id, tuple(dict.fromkeys((*before, worker_topic))))

    def is_asked_to_leave(self, namespace: str, worker_id: str) -> bool:
        """Return whether a worker was asked to leave, as far as this server knows."""
        return worker_id in self._asked.get(namespace, ())

    def heralded(self, topic: Topic, worker_id: str) -> None:
        """Take the news that a worker was asked to leave."""
        self._asked[topic[0]].add(worker_id)
        self._tell_to_leave(topic[0], worker_id)

    async def run(self) -> None:
        """Tell the store at an interval who is here, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.tell_store()

    async def tell_store(self) -> None:
        """Tell the store who is here, and learn who was asked to leave."""
        here: defaultdict[str, list[WorkerCard]] = defaultdict(list)
        for namespace, card in self._in_sessions():
            here[namespace].append(card)
        told, self._told = self._told, {}
        claimed, self._claimed = self._claimed, defaultdict(dict)
        for namespace in here.keys() | claimed.keys():
            news = [card for card in here[namespace] if told.get((namespace, card.worker_id)) != card]
            same = {card.worker_id for card in here[namespace]}.difference(card.worker_id for card in news)
            try:
                _, asked = await self._workers.note(namespace, news, claimed[namespace].values(), same)
            except RemoteWorkersError as error:
                _log.warning("workers not listed", namespace=namespace, error=str(error))
                continue
            self._told.update({(namespace, card.worker_id): card for card in here[namespace]})
            self._asked[namespace] = asked
            for card in here[namespace]:
                if card.worker_id in asked:
                    self._tell_to_leave(namespace, card.worker_id)
