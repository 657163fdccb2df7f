"""The store: durable work items on Redis, in the domain's words. One call is one script, on one slot, in one batch."""

from collections import Counter
from collections.abc import Iterable, Sequence

from bloge_server.domain.lease_token import LeaseToken, new_nonce
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
from bloge_server.domain.work_item import (
    Acted,
    Claimed,
    ClaimOrder,
    Enqueued,
    NewItem,
    OutboxPage,
    StoredItem,
    StoredOutcome,
    SweepResult,
)
from bloge_server.store import codec, keys
from bloge_server.store.calls import ScriptCalls
from bloge_server.store.errors import translated
from bloge_server.store.nodes import Argument as _Arg

_SWEEP_LIMIT = 500
_OUTBOX_BYTES = 2_000_000
"""Most bytes of outcomes in one page, failures and business errors included, so that a page fits a frame of 3 MiB."""


class RedisStore(ScriptCalls):
    """Work items of every topic on one Redis or Valkey."""

    async def enqueue(self, namespace: str, worker_topic: str, items: Sequence[NewItem]) -> list[Enqueued]:
        """Create items of one topic; idempotent by id and content."""
        await self.announce_topic(namespace, worker_topic)
        args: list[_Arg] = [self.limits.backlog]
        for item in items:
            args.extend(item)
        statuses = await self._run("enqueue", namespace, worker_topic, args)
        return [Enqueued(item.item_id, status.decode()) for item, status in zip(items, statuses, strict=True)]

    async def claim(self, namespace: str, worker_topic: str, order: ClaimOrder) -> Claimed:
        """Claim due items for one worker."""
        offered = order.offer_lease_ms > 0
        first_lease = min(order.offer_lease_ms, order.lease_ms) if offered else order.lease_ms
        args: list[_Arg] = [order.worker_id, new_nonce(), order.lease_ms, first_lease, 0 if offered else 1]
        args.extend((order.max_items, order.max_bytes, order.request_id))
        reply = await self._run("claim", namespace, worker_topic, args)
        return Claimed(codec.leases(namespace, worker_topic, reply), bool(reply[1]))

    async def receive(self, namespace: str, worker_topic: str, tokens: Sequence[LeaseToken]) -> list[Verdict]:
        """Confirm offers: their full lease begins."""
        args = [token.claim for token in tokens]
        return await self._judged("receive", namespace, worker_topic, args)

    async def heartbeat(self, namespace: str, worker_topic: str, reports: Iterable[Heartbeat]) -> list[Verdict]:
        """Extend leases."""
        args: list[_Arg] = []
        for token, lease_ms, progress in reports:
            args.extend((token.claim, lease_ms, int(progress is not None), progress or b""))
        return await self._judged("heartbeat", namespace, worker_topic, args)

    async def complete(self, namespace: str, worker_topic: str, reports: Iterable[Complete]) -> list[Verdict]:
        """Finish items."""
        args: list[_Arg] = []
        for token, kind, body, digest in reports:
            args.extend((token.claim, kind, digest, body))
        return await self._judged("complete", namespace, worker_topic, args)

    async def fail(self, namespace: str, worker_topic: str, reports: Iterable[Fail]) -> list[Verdict]:
        """Take failures: a retry within the budget, else a dead letter."""
        args: list[_Arg] = []
        for each in reports:
            args.extend((each.token.claim, each.digest, each.error_type, each.failure))
            args.extend((int(each.non_retryable), each.retry_after_ms))
        return await self._judged("fail", namespace, worker_topic, args)

    async def release(self, namespace: str, worker_topic: str, reports: Iterable[Release]) -> list[Verdict]:
        """Hand items back at no cost of an attempt."""
        args: list[_Arg] = []
        for each in reports:
            args.extend((each.token.claim, each.digest, each.delay_ms, each.reason, int(each.draining)))
        return await self._judged("release", namespace, worker_topic, args)

    async def sweep(self, namespace: str, worker_topic: str) -> SweepResult:
        """Do what is due in one topic, a bounded amount."""
        return SweepResult(*await self._run("sweep", namespace, worker_topic, [_SWEEP_LIMIT, *self.limits[1:]]))

    async def read_outbox(
        self, namespace: str, worker_topic: str, reply_group: str, *, after: int, limit: int
    ) -> OutboxPage:
        """Return outcomes that are not acknowledged, in the order of their emission.

        Args:
            namespace: of the items.
            worker_topic: of the items.
            reply_group: of the items.
            after: the place after which to begin; 0 for all.
            limit: most outcomes.
        """
        args: list[_Arg] = [reply_group, after, limit, _OUTBOX_BYTES]
        place, more, *found = await self._read("read_outbox", namespace, worker_topic, args)
        return OutboxPage(int(place), bool(more), [codec.outcome(namespace, worker_topic, each) for each in found])

    async def acknowledge(self, namespace: str, worker_topic: str, item_ids: Sequence[str]) -> int:
        """Take recorded outcomes out of the outbox; return how many stood there."""
        with translated():
            acknowledged: int = await self._call(
                "acknowledge", namespace, worker_topic, [self._clock(), self._retention_ms, *item_ids]
            )
        return acknowledged

    async def await_outcome(self, namespace: str, worker_topic: str, item_id: str) -> tuple[str, StoredOutcome | None]:
        """Return NOT_FOUND, UNKNOWN_SCHEMA, WAITING (and the outcome will be heralded), or DONE with the outcome."""
        status, *found = await self._run("await_outcome", namespace, worker_topic, [item_id])
        return status.decode(), codec.outcome(namespace, worker_topic, found[0]) if found else None

    async def get(
        self, namespace: str, worker_topic: str, item_ids: Sequence[str], *, brief: bool = False
    ) -> list[StoredItem | None]:
        """Return records, None where there is no such item.

        Args:
            namespace: of the items.
            worker_topic: of the items.
            item_ids: of the items.
            brief: leave out payloads, outputs and what late outputs hold.

        Raises:
            RemoteWorkersError: UNKNOWN_SCHEMA if a later release wrote one of them.
        """
        reply = await self._read("get", namespace, worker_topic, [int(brief), *item_ids])
        return [codec.item(namespace, worker_topic, each) for each in reply]

    async def cancel(self, namespace: str, worker_topic: str, item_ids: Sequence[str], reason: str) -> list[Acted]:
        """Cancel open items: CANCELLED, HAS_OUTCOME or NOT_FOUND."""
        reply = await self._run("cancel", namespace, worker_topic, [reason, *item_ids])
        return [codec.acted(each) for each in reply]

    async def replay(
        self, namespace: str, worker_topic: str, items: Sequence[tuple[str, int]], payload: bytes | None = None
    ) -> list[Acted]:
        """Put dead letters back, each after a delay (ms): REPLAYED, WRONG_STATUS or NOT_FOUND."""
        args: list[_Arg] = [int(payload is not None), payload or b""]
        args.extend(part for item in items for part in item)
        reply = await self._run("replay", namespace, worker_topic, args)
        return [codec.acted(each) for each in reply]

    async def discard(self, namespace: str, worker_topic: str, item_ids: Sequence[str]) -> list[Acted]:
        """Drop dead letters: DISCARDED, WRONG_STATUS or NOT_FOUND."""
        return [codec.acted(each) for each in await self._run("discard", namespace, worker_topic, item_ids)]

    async def adopt(self, namespace: str, worker_topic: str, item_id: str, fence: int) -> Acted:
        """Take a late output as the outcome: ADOPTED, WRONG_STATUS, NO_OUTPUT or NOT_FOUND."""
        return codec.acted(await self._run("adopt", namespace, worker_topic, [item_id, fence]))

    async def list_dead(
        self, namespace: str, worker_topic: str, *, since_ms: int, after_id: str, limit: int
    ) -> list[tuple[int, str]]:
        """Return (dead-letter time in ms, id), oldest first, from a position on."""
        reply = await self._read("list_dead", namespace, worker_topic, [since_ms, after_id, limit])
        return [(int(at), item_id.decode()) for at, item_id in zip(reply[::2], reply[1::2], strict=True)]

    async def register(self, namespace: str, worker_topic: str, worker_id: str, slots: int, sdk: str) -> None:
        """Note a worker of a topic."""
        await self._read("register", namespace, worker_topic, [worker_id, slots, sdk])

    async def topics(self, namespace: str) -> list[str]:
        """Return the topics of a namespace, by name."""
        with translated():
            return await self._members(keys.topics(namespace))

    async def all_topics(self) -> list[tuple[str, str]]:
        """Return (namespace, topic) of every topic."""
        with translated():
            namespaces = await self._members(keys.NAMESPACES)
        return [(namespace, topic) for namespace in namespaces for topic in await self.topics(namespace)]

    async def _judged(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> list[Verdict]:
        answers = await self._run(script, namespace, worker_topic, args)
        verdicts = list(map(codec.verdict, answers))
        topic, all_accepted = (namespace, worker_topic), True
        for answer, count in Counter(answers).items():  # a batch has few different ones
            reason = codec.verdict(answer).reason
            self._probe.judged(topic, script, reason, count)
            all_accepted = all_accepted and reason is None
        if not all_accepted:
            claims = args[:: len(args) // len(answers)]
            self._probe.refused(topic, codec.refusals(script, claims, verdicts))
        return verdicts
