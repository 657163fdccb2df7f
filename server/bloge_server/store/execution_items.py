"""What the work items of executions need beyond those of nodes."""

from collections.abc import Sequence
from typing import NamedTuple

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Verdict
from bloge_server.store import codec
from bloge_server.store.redis_store import RedisStore


class Judged(NamedTuple):
    """What the item says to the lease under which a journal is to be opened."""

    verdict: Verdict
    owner: str
    cancel_requested: bool
    cancel_reason: str


async def judge_owner(store: RedisStore, token: LeaseToken, next_sequence: int) -> Judged:
    """Judge a lease; a journal that has grown since the last owner counts as progress.

    Args:
        store: where the item is.
        token: the lease.
        next_sequence: of the execution's journal.
    """
    reply = await store.run("own_execution", token.namespace, token.worker_topic, [token.claim, next_sequence])
    answer, owner, requested, reason = reply
    return Judged(codec.verdict(answer), owner.decode(), bool(requested), reason.decode())


async def purge_items(store: RedisStore, namespace: str, worker_topic: str, item_ids: Sequence[str]) -> None:
    """Remove items whose retention is over and whose journals are gone."""
    await store.read("purge_executions", namespace, worker_topic, item_ids)
