"""The store: durable work items on Redis, in the domain's words. One call is one script, on one slot, in one batch."""

import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from bloge_server.domain.lease_token import LeaseToken, new_nonce
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
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
from bloge_server.store.durability import NO_REPLICAS, Replicas
from bloge_server.store.errors import translated
from bloge_server.store.keys import Topic
from bloge_server.store.nodes import Argument as _Arg
from bloge_server.store.nodes import Client, Command, Node

_WAITING = frozenset({"enqueue", "complete", "fail", "release", "cancel"})
"""What waits for replicas: what is acknowledged to a caller who will not come again, and can be repeated if it must."""
_SWEEP_LIMIT = 500
_OUTBOX_BYTES = 2_000_000
"""Most bytes of outcomes in one page, failures and business errors included, so that a page fits a frame of 3 MiB."""


class RedisStore:
    """Work items of every topic on one Redis or Valkey.

    Args:
        client: a way to the store; a plain client that returns bytes will do for a store of one node.
        replicas: how many replicas must have a write before it is acknowledged.
        retention_ms: how long a finished item is kept, from the acknowledgement of its outcome.
        limits: how much a topic may have, unless it has limits of its own.
        clock: returns the current time in ms, or 0 for the store's own clock. Tests own time through it.
        dice: returns a number in [0, 1); the source of every jitter.
        load: returns a script by name. Tests give those of another release.
    """

    def __init__(
        self,
        client: "Client | Redis",
        *,
        replicas: Replicas = NO_REPLICAS,
        retention_ms: int = 86_400_000,
        limits: TopicLimits = NO_LIMITS,
        clock: Callable[[], int] = lambda: 0,
        dice: Callable[[], float] = random.random,
        load: Callable[[str], scripts.Script] = scripts.load,
    ) -> None:
        self._client: Client = Node(client) if isinstance(client, Redis) else client
        self._replicas = replicas
        self._retention_ms = retention_ms
        self.limits = limits
        self._load = load
        self.clock = clock
        self._dice = dice
        self._known_topics: set[tuple[str, str]] = set()

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
        args.extend((order.max_items, order.max_bytes, int(order.any_size), order.request_id))
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

    def sweep_call(self, topic: Topic) -> Command:
        """Return the command that sweeps a topic, for who sends many of them in one trip."""
        return self._by_sha("sweep", topic, [*self._head(), _SWEEP_LIMIT, *self.limits[1:]])

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
            args: list[_Arg] = [self.clock(), self._retention_ms, *item_ids]
            acknowledged: int = await self._call("acknowledge", (namespace, worker_topic), args)
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

    async def topics(self, namespace: str) -> list[str]:
        """Return the topics of a namespace, by name."""
        with translated():
            return await self._members(keys.topics(namespace))

    async def all_topics(self) -> list[tuple[str, str]]:
        """Return (namespace, topic) of every topic."""
        with translated():
            namespaces = await self._members(keys.NAMESPACES)
        return [(namespace, topic) for namespace in namespaces for topic in await self.topics(namespace)]

    async def run(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        """Call a script that changes something, for the store's own tools."""
        return await self._run(script, namespace, worker_topic, args)

    async def read(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        """Call a script that only reads, for the store's own tools."""
        return await self._read(script, namespace, worker_topic, args)

    async def command(self, *command: _Arg) -> Any:  # noqa: ANN401 - each command has its own reply
        """Send a command, for the store's own tools."""
        with translated():
            return await self._send(*command)

    async def commands(self, *commands: Sequence[_Arg], at: str = "") -> list[Any]:
        """Send commands on keys of one slot, that of `at` or of the first, for the store's own tools."""
        with translated():
            return await self._client.send(at or _key(commands[0]), *commands)

    async def scan(self, pattern: str, count: int) -> AsyncIterator[str]:
        """Yield the keys that match a pattern, about `count` in a step."""
        with translated():
            for node in await self._client.masters():
                async for key in node.redis.scan_iter(match=pattern, count=count):
                    yield key.decode()

    async def _members(self, key: str) -> list[str]:
        members: set[bytes] = await self._send("SMEMBERS", key)
        return sorted(member.decode() for member in members)

    async def announce_topic(self, namespace: str, worker_topic: str) -> None:
        """Note a topic before its first enqueue, so that nothing durable is ever unknown to the sweeps."""
        if (namespace, worker_topic) in self._known_topics:
            return
        with translated():
            await self._write("SADD", keys.NAMESPACES, namespace)
            await self._write("SADD", keys.topics(namespace), worker_topic)
        self._known_topics.add((namespace, worker_topic))

    async def _judged(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> list[Verdict]:
        return list(map(codec.verdict, await self._run(script, namespace, worker_topic, args)))

    def _head(self) -> list[_Arg]:
        """Return what every transition takes first: the time, the retention and the dice."""
        return [self.clock(), self._retention_ms, self._dice()]

    async def _run(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        with translated():
            return await self._call(script, (namespace, worker_topic), [*self._head(), *args])

    async def _read(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        with translated():
            return await self._call(script, (namespace, worker_topic), [self.clock(), *args])

    async def _call(self, script: str, topic: Topic, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        command = self._by_sha(script, topic, args)
        send = self._write if script in _WAITING else self._send
        try:
            return await send(*command)
        except NoScriptError:
            return await send("EVAL", self._load(script).source, *command[2:])

    def _by_sha(self, script: str, topic: Topic, args: Sequence[_Arg]) -> list[_Arg]:
        declared = keys.topic_keys(*topic)
        if self._client.slots_move:
            declared.append(keys.guard(*topic))
        return ["EVALSHA", self._load(script).sha, len(declared), *declared, *args]

    async def _send(self, *command: _Arg) -> Any:  # noqa: ANN401 - each command has its own reply
        (reply,) = await self._client.send(_key(command), command)
        return reply

    async def _write(self, *command: _Arg) -> Any:  # noqa: ANN401 - each command has its own reply
        """Send a command whose reply is given only once enough replicas have what it wrote."""
        if not self._replicas.required:
            return await self._send(*command)
        key = _key(command)
        reply, _, acknowledged = await self._client.send(key, command, *self._replicas.waiting(key))
        self._replicas.require(acknowledged)
        return reply


def _key(command: Command) -> str:
    """Return the key that tells where a command goes."""
    return str(command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1])
