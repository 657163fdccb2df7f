"""Who works for a namespace: kept current by the servers, read by people."""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bloge_server.store import keys
from bloge_server.store.redis_store import RedisStore

_LISTED_MS = 3_600_000
"""How long a worker is listed after it was last seen."""
_ASKED_MS = 86_400_000
"""How long it is remembered that a worker was asked to leave: longer than any drain lasts."""
_PRUNED_AT_ONCE = 500


class WorkerCard(NamedTuple):
    """What is known of a worker."""

    worker_id: str
    worker_topics: tuple[str, ...]
    slots: int = 0
    sdk: str = ""
    held: int = 0
    """Leases that it holds, as far as its session knows."""
    credits: int = 0
    """Items that it may still be offered."""
    draining: bool = False
    """Whether it takes no new items."""


class ListedWorker(NamedTuple):
    """A worker as it is listed."""

    card: WorkerCard
    last_seen_ms: int
    asked_to_leave: bool


class WorkerList:
    """The workers of every namespace.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def note(
        self,
        namespace: str,
        cards: Collection[WorkerCard],
        brief: Collection[WorkerCard] = (),
        unchanged: Collection[str] = (),
    ) -> tuple[int, set[str]]:
        """Note that workers were seen now.

        Args:
            namespace: theirs.
            cards: what is known of them now.
            brief: workers of which only the topics are known; it is noted if nothing better is.
            unchanged: ids of workers of which nothing new is known.

        Returns:
            The time in ms, and the ids of all workers that were asked to leave.
        """
        workers, known, leaving = _keys(namespace)
        now = await self._store.now_ms(workers)
        ids = (*unchanged, *(card.worker_id for card in (*cards, *brief)))
        seen = [part for worker_id in ids for part in (now, worker_id)]
        commands: list[Sequence[str | int]] = [
            ("ZRANGEBYSCORE", workers, "-inf", now - _LISTED_MS, "LIMIT", 0, _PRUNED_AT_ONCE),
            ("ZREMRANGEBYSCORE", leaving, "-inf", now - _ASKED_MS),
            ("ZRANGE", leaving, 0, -1),
        ]
        if seen:
            commands.append(("ZADD", workers, *seen))
        if cards:
            commands.append(("HSET", known, *(part for card in cards for part in (card.worker_id, _packed(card)))))
        commands.extend(("HSETNX", known, card.worker_id, _packed(card)) for card in brief)
        unseen, _, asked, *_ = await self._store.commands(*commands)
        if unseen:
            # One of them may have come back in this very moment; it is listed again with its next sign of life.
            await self._store.commands(("ZREM", workers, *unseen), ("HDEL", known, *unseen))
        return now, {worker_id.decode() for worker_id in asked}

    async def ids(self, namespace: str) -> list[str]:
        """Return the id of every worker that is listed, in order."""
        return sorted(
            worker_id.decode() for worker_id in await self._store.command("ZRANGE", keys.workers(namespace), 0, -1)
        )

    async def read(self, namespace: str, ids: Sequence[str]) -> list[ListedWorker]:
        """Return what is known of listed workers; whoever went meanwhile is left out."""
        if not ids:
            return []
        workers, known, leaving = _keys(namespace)
        texts, seen, asked = await self._store.commands(
            ("HMGET", known, *ids), ("ZMSCORE", workers, *ids), ("ZMSCORE", leaving, *ids)
        )
        return [
            ListedWorker(_unpacked(worker_id, text), int(at), score is not None)
            for worker_id, text, at, score in zip(ids, texts, seen, asked, strict=True)
            if text is not None and at is not None
        ]

    async def ask_to_leave(self, namespace: str, worker_id: str) -> bool:
        """Note that a worker is to leave, and tell every server; return whether there is such a worker."""
        workers, known, leaving = _keys(namespace)
        text = await self._store.command("HGET", known, worker_id)
        if text is None:
            return False
        await self._store.command("ZADD", leaving, await self._store.now_ms(workers), worker_id)
        await self._tell(namespace, _unpacked(worker_id, text), f"leave {worker_id}")
        return True

    async def tell_session(self, namespace: str, card: WorkerCard, opened_ms: int) -> None:
        """Tell every server that a worker has opened a session."""
        await self._tell(namespace, card, f"session {card.worker_id} {opened_ms}")

    async def _tell(self, namespace: str, card: WorkerCard, line: str) -> None:
        # Whoever has a session of the worker listens to each of its topics.
        await self._store.command("SPUBLISH", keys.wake_channel(namespace, card.worker_topics[0]), line)


def _keys(namespace: str) -> tuple[str, str, str]:
    return keys.workers(namespace), keys.worker_cards(namespace), keys.leaving_workers(namespace)


def _packed(card: WorkerCard) -> str:
    return json.dumps(card[1:], separators=(",", ":"))


def _unpacked(worker_id: str, text: bytes) -> WorkerCard:
    topics, *rest = json.loads(text)
    return WorkerCard(worker_id, tuple(topics), *rest[: len(WorkerCard._fields) - 2])  # a later release may know more
