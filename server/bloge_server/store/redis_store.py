"""The store: durable work items on Redis, in the domain's words. One call is one script, on one slot, in one batch."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from redis.asyncio import Redis

from bloge.remote_workers.errors import RemoteWorkersError
from bloge.remote_workers.joining import Joining
from bloge_server.domain.lease_token import new_nonce
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Receipt, Release, Verdict
from bloge_server.domain.work_item import (
    NO_LIMITS,
    Acted,
    Claimed,
    ClaimOrder,
    Enqueued,
    NewItem,
    OutboxPage,
    StoredItem,
    StoredOutcome,
    SweepResult,
    TopicLimits,
)
from bloge_server.store import codec, keys, scripts
from bloge_server.store.calls import Calls
from bloge_server.store.durability import NO_REPLICAS, Replicas
from bloge_server.store.handover import Handover
from bloge_server.store.keys import Topic
from bloge_server.store.nodes import Argument as _Arg
from bloge_server.store.nodes import Client
from bloge_server.telemetry.probe import SILENT, Probe

_SWEEP_LIMIT = 500
OUTBOX_BYTES = 2_000_000
"""Most bytes of outcomes in one page, failures and business errors included, so that a page fits a frame of 3 MiB."""


class RedisStore:
    """Work items of every topic on one Redis or Valkey.

    Args:
        client: a way to the store; a plain client that returns bytes will do for a store of one node.
        replicas: how many replicas must have a write before it is acknowledged.
        retention_ms: how long a finished item is kept, from the acknowledgement of its outcome.
        journal_events: how many events of each topic are kept for live views; 0: none.
        limits: how much a topic may have, unless it has limits of its own.
        clock: returns the current time in ms, or 0 for the store's own clock. Tests own time through it.
        dice: returns a number in [0, 1); the source of every jitter.
        load: returns a script by name. Tests give those of another release.
        probe: is told of every call, and of what it did.
    """

    def __init__(  # noqa: PLR0913 - each is a seam of its own, and nearly all have a default
        self,
        client: "Client | Redis",
        *,
        replicas: Replicas = NO_REPLICAS,
        retention_ms: int = 86_400_000,
        journal_events: int = 0,
        limits: TopicLimits = NO_LIMITS,
        clock: Callable[[], int] = lambda: 0,
        dice: Callable[[], float] = random.random,
        load: Callable[[str], scripts.Script] = scripts.load,
        probe: Probe = SILENT,
    ) -> None:
        self.calls = Calls(client, replicas=replicas, clock=clock, load=load, probe=probe)
        self.limits = limits
        self._retention_ms = retention_ms
        self._keep = f"{retention_ms} {journal_events}" if journal_events else str(retention_ms)
        self._dice = dice
        self._probe = probe
        self._known_topics: set[tuple[str, str]] = set()
        self._joining = Joining(self._batch, _size)
        self.handover = Handover()

    async def enqueue(self, namespace: str, worker_topic: str, items: Sequence[NewItem]) -> list[Enqueued]:
        """Create items of one topic; idempotent by id and content."""
        await self.announce_topic(namespace, worker_topic)
        statuses = await self._joining(("enqueue", namespace, worker_topic), items)
        return [Enqueued(item.item_id, status.decode()) for item, status in zip(items, statuses, strict=True)]

    async def claim(self, namespace: str, worker_topic: str, order: ClaimOrder) -> Claimed:
        """Claim due items for one worker."""
        offered = order.offer_lease_ms > 0
        first_lease = min(order.offer_lease_ms, order.lease_ms) if offered else order.lease_ms
        args: list[_Arg] = [order.worker_id, new_nonce(), order.lease_ms, first_lease, 0 if offered else 1]
        args.extend((order.max_items, order.max_bytes, int(order.any_size), order.request_id, order.item_id))
        reply = await self.run("claim", namespace, worker_topic, args)
        return Claimed(codec.leases(namespace, worker_topic, reply), bool(reply[1]))

    async def receive(self, namespace: str, worker_topic: str, receipts: Iterable[Receipt]) -> list[Verdict]:
        """Confirm offers: their full lease begins."""
        parts = [(token.claim, age_ms) for token, age_ms in receipts]
        return await self._judged("receive", namespace, worker_topic, parts)

    async def heartbeat(self, namespace: str, worker_topic: str, reports: Iterable[Heartbeat]) -> list[Verdict]:
        """Extend leases."""
        parts = [(token.claim, ms, int(progress is not None), progress or b"") for token, ms, progress in reports]
        return await self._judged("heartbeat", namespace, worker_topic, parts)

    async def complete(self, namespace: str, worker_topic: str, reports: Iterable[Complete]) -> list[Verdict]:
        """Finish items."""
        parts = [(token.claim, kind, digest, body) for token, kind, body, digest in reports]
        return await self._judged("complete", namespace, worker_topic, parts)

    async def fail(self, namespace: str, worker_topic: str, reports: Iterable[Fail]) -> list[Verdict]:
        """Take failures: a retry within the budget, else a dead letter."""
        parts = [
            (each.token.claim, each.digest, each.error_type, each.failure, int(each.non_retryable), each.retry_after_ms)
            for each in reports
        ]
        return await self._judged("fail", namespace, worker_topic, parts)

    async def release(self, namespace: str, worker_topic: str, reports: Iterable[Release]) -> list[Verdict]:
        """Hand items back at no cost of an attempt."""
        parts = [(each.token.claim, each.digest, each.delay_ms, each.reason, int(each.draining)) for each in reports]
        return await self._judged("release", namespace, worker_topic, parts)

    async def sweep(self, namespace: str, worker_topic: str) -> SweepResult:
        """Do what is due in one topic, a bounded amount."""
        (result,) = await self.sweep_each([(namespace, worker_topic)])
        if isinstance(result, RemoteWorkersError):
            raise result
        return result

    def together(self, topics: Sequence[Topic]) -> list[list[Topic]]:
        """Return topics in parts: those of one part can be swept in one trip."""
        parts = self.calls.together([keys.topic_base(*topic) for topic in topics])
        return [[topics[index] for index in part] for part in parts]

    async def sweep_each(self, topics: Sequence[Topic]) -> list[SweepResult | RemoteWorkersError]:
        """Sweep topics that are `together`; what went wrong with one stands in place of its result."""
        args: list[_Arg] = [self._keep, self._dice(), _SWEEP_LIMIT, *self.limits[1:]]
        replies = await self.calls.script_each("sweep", [(keys.topic_keys(*topic), args) for topic in topics])
        return [
            reply if isinstance(reply, RemoteWorkersError) else codec.sweep_result(self._told(topic, reply))
            for topic, reply in zip(topics, replies, strict=True)
        ]

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
        args: list[_Arg] = [reply_group, after, limit, OUTBOX_BYTES]
        place, more, *found = await self.read("read_outbox", namespace, worker_topic, args)
        return OutboxPage(int(place), bool(more), [codec.outcome(namespace, worker_topic, each) for each in found])

    async def acknowledge(
        self, namespace: str, worker_topic: str, item_ids: Sequence[str], groups: Iterable[str] = ()
    ) -> int:
        """Take recorded outcomes out of the outbox; return how many stood there.

        Args:
            namespace: of the items.
            worker_topic: of the items.
            item_ids: of the items.
            groups: reply groups that most of them have: those need no look at their records.
        """
        args: list[_Arg] = [self._retention_ms, " ".join(groups), *item_ids]
        acknowledged: int = await self.read("acknowledge", namespace, worker_topic, args)
        return acknowledged

    async def await_outcome(self, namespace: str, worker_topic: str, item_id: str) -> tuple[str, StoredOutcome | None]:
        """Return NOT_FOUND, UNKNOWN_SCHEMA, WAITING (and the outcome will be heralded), or DONE with the outcome."""
        status, *found = await self.run("await_outcome", namespace, worker_topic, [item_id])
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
        reply = await self.read("get", namespace, worker_topic, [int(brief), *item_ids])
        return [codec.item(namespace, worker_topic, each) for each in reply]

    async def cancel(self, namespace: str, worker_topic: str, item_ids: Sequence[str], reason: str) -> list[Acted]:
        """Cancel open items: CANCELLED, HAS_OUTCOME or NOT_FOUND."""
        reply = await self.run("cancel", namespace, worker_topic, [reason, *item_ids])
        return [codec.acted(each) for each in reply]

    async def replay(
        self, namespace: str, worker_topic: str, items: Sequence[tuple[str, int]], payload: bytes | None = None
    ) -> list[Acted]:
        """Put dead letters back, each after a delay (ms): REPLAYED, WRONG_STATUS or NOT_FOUND."""
        args: list[_Arg] = [int(payload is not None), payload or b""]
        args.extend(part for item in items for part in item)
        reply = await self.run("replay", namespace, worker_topic, args)
        return [codec.acted(each) for each in reply]

    async def discard(self, namespace: str, worker_topic: str, item_ids: Sequence[str]) -> list[Acted]:
        """Drop dead letters: DISCARDED, WRONG_STATUS or NOT_FOUND."""
        return [codec.acted(each) for each in await self.run("discard", namespace, worker_topic, item_ids)]

    async def adopt(self, namespace: str, worker_topic: str, item_id: str, fence: int) -> Acted:
        """Take a late output as the outcome: ADOPTED, WRONG_STATUS, NO_OUTPUT or NOT_FOUND."""
        return codec.acted(await self.run("adopt", namespace, worker_topic, [item_id, fence]))

    async def topics(self, namespace: str) -> list[str]:
        """Return the topics of a namespace, by name."""
        return await self._members(keys.topics(namespace))

    async def all_topics(self) -> list[tuple[str, str]]:
        """Return (namespace, topic) of every topic."""
        namespaces = await self._members(keys.NAMESPACES)
        return [(namespace, topic) for namespace in namespaces for topic in await self.topics(namespace)]

    async def run(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        """Call a script of a topic that changes something: every one takes the retention and the dice first."""
        reply = await self.read(script, namespace, worker_topic, [self._keep, self._dice(), *args])
        return self._told((namespace, worker_topic), reply) if self.calls.tells(script) else reply

    def _told(self, topic: Topic, reply: Any) -> Any:  # noqa: ANN401 - each script has its own reply
        """Pass on what a script tells of what it did; return its own reply."""
        own, *told = reply
        if any(told):
            self._probe.happened(topic, codec.facts(*told))
        return own

    async def read(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        """Call a script of a topic that needs neither."""
        return await self.calls.script(script, keys.topic_keys(namespace, worker_topic), args)

    async def command(self, *command: _Arg) -> Any:  # noqa: ANN401 - each command has its own reply
        """Send a command, for the store's own tools."""
        return await self.calls.command(*command)

    async def commands(self, *commands: Sequence[_Arg]) -> list[Any]:
        """Send commands on keys of one slot, one right after the other, for the store's own tools."""
        return await self.calls.commands(*commands)

    async def now_ms(self, key: str) -> int:
        """Return the time in ms by the clock that scripts on a key would use."""
        return await self.calls.now_ms(key)

    async def _members(self, key: str) -> list[str]:
        members: set[bytes] = await self.calls.command("SMEMBERS", key)
        return sorted(member.decode() for member in members)

    async def announce_topic(self, namespace: str, worker_topic: str) -> None:
        """Note a topic before its first enqueue, so that nothing durable is ever unknown to the sweeps."""
        if (namespace, worker_topic) in self._known_topics:
            return
        await self.calls.durable_command("SADD", keys.NAMESPACES, namespace)
        await self.calls.durable_command("SADD", keys.topics(namespace), worker_topic)
        self._known_topics.add((namespace, worker_topic))

    async def _judged(
        self, script: str, namespace: str, worker_topic: str, parts: Sequence[Sequence[_Arg]]
    ) -> list[Verdict]:
        answers = await self._joining((script, namespace, worker_topic), parts)
        verdicts = list(map(codec.verdict, answers))
        topic, all_accepted = (namespace, worker_topic), True
        for answer, count in Counter(answers).items():  # a batch has few different ones
            reason = codec.verdict(answer).reason
            self._probe.judged(topic, script, reason, count)
            all_accepted = all_accepted and reason is None
        if not all_accepted:
            self._probe.refused(topic, codec.refusals(script, [part[0] for part in parts], verdicts))
        return verdicts

    async def _batch(self, kind: tuple[str, str, str], parts: Sequence[Sequence[_Arg]]) -> Sequence[Any]:
        """Call a script that takes a batch of items."""
        script, *topic = kind
        if script == "complete":
            return await self.handover.complete(partial(self.run, *kind), (topic[0], topic[1]), parts)
        args: list[_Arg] = [self.limits.backlog] if script == "enqueue" else []
        for part in parts:
            args.extend(part)
        replies: list[Any] = await self.run(*kind, args)
        return replies


def _size(part: Sequence[_Arg]) -> int:
    return sum(len(argument) for argument in part if isinstance(argument, str | bytes))
