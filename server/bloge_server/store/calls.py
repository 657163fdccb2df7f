"""How scripts and commands reach the store: the time they are given, what is told of them, what they wait for."""

import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from bloge_server.domain.work_item import NO_LIMITS, TopicLimits
from bloge_server.store import codec, keys, scripts
from bloge_server.store.durability import NO_REPLICAS, Replicas
from bloge_server.store.errors import translated
from bloge_server.store.nodes import Argument as _Arg
from bloge_server.store.nodes import Client, Command, Node
from bloge_server.telemetry.probe import SILENT, Probe

_WAITING = frozenset({"enqueue", "complete", "fail", "release", "cancel"})
"""What waits for replicas: what is acknowledged to a caller who will not come again, and can be repeated if it must."""


class ScriptCalls:
    """Calls scripts on one Redis or Valkey.

    Args:
        client: a way to the store; a plain client that returns bytes will do for a store of one node.
        replicas: how many replicas must have a write before it is acknowledged.
        retention_ms: how long a finished item is kept, from the acknowledgement of its outcome.
        limits: how much a topic may have, unless it has limits of its own.
        clock: returns the current time in ms, or 0 for the store's own clock. Tests own time through it.
        dice: returns a number in [0, 1); the source of every jitter.
        probe: is told of every call, and of what it did.
        load: returns a script by name. Tests give those of another release.
    """

    def __init__(  # noqa: PLR0913 - each is a seam of its own, and nearly all have a default
        self,
        client: "Client | Redis",
        *,
        replicas: Replicas = NO_REPLICAS,
        retention_ms: int = 86_400_000,
        limits: TopicLimits = NO_LIMITS,
        clock: Callable[[], int] = lambda: 0,
        dice: Callable[[], float] = random.random,
        probe: Probe = SILENT,
        load: Callable[[str], scripts.Script] = scripts.load,
    ) -> None:
        self._client: Client = Node(client) if isinstance(client, Redis) else client
        self._replicas = replicas
        self._retention_ms = retention_ms
        self.limits = limits
        self._load = load
        self._clock = clock
        self._dice = dice
        self._probe = probe
        self._known_topics: set[tuple[str, str]] = set()

    async def ping(self) -> None:
        """Return if every master answers.

        Raises:
            RemoteWorkersError: STORE_UNAVAILABLE.
        """
        with translated():
            for node in await self._client.masters():
                await node.send("", ("PING",))

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

    async def scan(self, pattern: str, count: int) -> AsyncIterator[str]:
        """Yield the keys that match a pattern, about `count` in a step."""
        with translated():
            for node in await self._client.masters():
                async for key in node.redis.scan_iter(match=pattern, count=count):
                    yield key.decode()

    async def announce_topic(self, namespace: str, worker_topic: str) -> None:
        """Note a topic before its first enqueue, so that nothing durable is ever unknown to the sweeps."""
        if (namespace, worker_topic) in self._known_topics:
            return
        with translated():
            await self._write("SADD", keys.NAMESPACES, namespace)
            await self._write("SADD", keys.topics(namespace), worker_topic)
        self._known_topics.add((namespace, worker_topic))

    async def _members(self, key: str) -> list[str]:
        members: set[bytes] = await self._send("SMEMBERS", key)
        return sorted(member.decode() for member in members)

    async def _run(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        """Call a transition: every one takes the time, the retention and the dice first."""
        with translated():
            head = (self._clock(), self._retention_ms, self._dice())
            reply, *told = await self._call(script, namespace, worker_topic, [*head, *args])
        if any(told):
            self._probe.happened((namespace, worker_topic), codec.facts(*told))
        return reply

    async def _read(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        with translated():
            return await self._call(script, namespace, worker_topic, [self._clock(), *args])

    async def _call(self, script: str, namespace: str, worker_topic: str, args: Sequence[_Arg]) -> Any:  # noqa: ANN401 - each script has its own reply
        declared = keys.topic_keys(namespace, worker_topic)
        if self._client.slots_move:
            declared.append(keys.guard(namespace, worker_topic))
        began, failed = time.perf_counter(), True
        try:
            reply = await self._evaluate(script, len(declared), *declared, *args)
            failed = False
        finally:
            self._probe.called(script, time.perf_counter() - began, failed=failed)
        return reply

    async def _evaluate(self, script: str, *call: _Arg) -> Any:  # noqa: ANN401 - each script has its own reply
        loaded = self._load(script)
        send = self._write if script in _WAITING else self._send
        try:
            return await send("EVALSHA", loaded.sha, *call)
        except NoScriptError:
            return await send("EVAL", loaded.source, *call)

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
