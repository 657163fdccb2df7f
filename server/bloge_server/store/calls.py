"""Sends scripts and commands to the store, each to the node of its keys; waits for replicas where that is required."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from bloge.remote_workers.errors import RemoteWorkersError
from bloge_server.store import keys, scripts
from bloge_server.store.durability import NO_REPLICAS, Replicas
from bloge_server.store.errors import translated
from bloge_server.store.nodes import Argument, Client, Command, Node
from bloge_server.telemetry.probe import SILENT, Probe

_WAITING = frozenset(
    {"enqueue", "complete", "fail", "release", "cancel", "record_execution", "open_journal", "append_events"}
)
"""What waits for replicas: what is acknowledged to a caller who will not come again, and can be repeated if it must."""


class Calls:
    """A way to the store that speaks its errors in the contract's words.

    Args:
        client: the store; a plain client that returns bytes will do for a store of one node.
        replicas: how many replicas must have a write before it is acknowledged.
        clock: returns the current time in ms, or 0 for the store's own clock. Tests own time through it.
        load: returns a script by name. Tests give those of another release.
        probe: is told of every script call.
    """

    def __init__(
        self,
        client: "Client | Redis",
        *,
        replicas: Replicas = NO_REPLICAS,
        clock: Callable[[], int] = lambda: 0,
        load: Callable[[str], scripts.Script] = scripts.load,
        probe: Probe = SILENT,
    ) -> None:
        self.clock = clock
        self._probe = probe
        self._client: Client = Node(client) if isinstance(client, Redis) else client
        self._replicas = replicas
        self._load = load

    async def script(self, name: str, declared: Sequence[str], args: Sequence[Argument]) -> Any:  # noqa: ANN401 - each script has its own reply
        """Call a script.

        Args:
            name: the script.
            declared: the keys that it declares, all of one slot.
            args: what follows the time, which every script takes first.

        Raises:
            RemoteWorkersError: the store cannot be reached, is full, or the script broke.
        """
        arguments = self._arguments(declared, args)
        began, failed = time.perf_counter(), True
        try:
            with translated():
                reply = await self._evaluate(name, arguments)
            failed = False
        finally:
            self._probe.called(name, time.perf_counter() - began, failed=failed)
        return reply

    def together(self, some_keys: Sequence[str]) -> list[list[int]]:
        """Return the positions of keys in parts: those of one part are on one node, as far as is known."""
        return [part for part in self._client.places_of(some_keys) if part]

    async def script_each(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Call a script several times in one trip; what went wrong with one call stands in place of its reply.

        Args:
            name: the script; none that waits for replicas.
            calls: declared keys and arguments, as `script` takes them; the keys of all are `together`.
        """
        sha = self._load(name).sha
        commands = [("EVALSHA", sha, *self._arguments(declared, args)) for declared, args in calls]
        began, failed = time.perf_counter(), True
        try:
            with translated():
                replies = await self._client.send_each(commands)
            failed = False
        except RemoteWorkersError as error:
            return [error] * len(calls)
        finally:
            self._probe.called(name, time.perf_counter() - began, failed=failed)
        return [await self._reply(name, call, reply) for call, reply in zip(calls, replies, strict=True)]

    async def _reply(self, name: str, call: tuple[Sequence[str], Sequence[Argument]], reply: Any) -> Any:  # noqa: ANN401 - each script has its own reply
        try:
            if isinstance(reply, NoScriptError):
                return await self.script(name, *call)
            with translated():
                if isinstance(reply, Exception):
                    raise reply
        except RemoteWorkersError as error:
            return error
        return reply

    def tells(self, name: str) -> bool:
        """Return whether a script tells with its reply what it did."""
        return self._load(name).tells

    async def command(self, *command: Argument) -> Any:  # noqa: ANN401 - each command has its own reply
        """Send a command; raises what `script` raises."""
        with translated():
            return await self._send(*command)

    async def commands(self, *commands: Command) -> list[Any]:
        """Send commands on keys of one slot, one right after the other; raises what `script` raises."""
        with translated():
            return await self._client.send(_key(commands[0]), *commands)

    async def now_ms(self, key: str) -> int:
        """Return the time in ms by the clock that scripts on a key would use; raises what `script` raises."""
        if (told := self.clock()) > 0:
            return told
        with translated():
            ((seconds, microseconds),) = await self._client.send(key, ("TIME",))
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def ping(self) -> None:
        """Return if every master answers; raises what `script` raises."""
        with translated():
            for node in await self._client.masters():
                await node.send("", ("PING",))

    async def durable_command(self, *command: Argument) -> Any:  # noqa: ANN401 - each command has its own reply
        """Send a command and wait until enough replicas have what it wrote; raises what `script` raises."""
        with translated():
            return await self._write(*command)

    async def scan(self, pattern: str, count: int) -> AsyncIterator[str]:
        """Yield the keys that match a pattern, about `count` in a step."""
        with translated():
            for node in await self._client.masters():
                async for key in node.redis.scan_iter(match=pattern, count=count):
                    yield key.decode()

    def _arguments(self, declared: Sequence[str], args: Sequence[Argument]) -> tuple[Argument, ...]:
        known = [*declared, keys.guard(declared[0])] if self._client.slots_move else declared
        return (len(known), *known, self.clock(), *args)

    async def _evaluate(self, name: str, arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - each script has its own reply
        loaded = self._load(name)
        send = self._write if name in _WAITING else self._send
        try:
            return await send("EVALSHA", loaded.sha, *arguments)
        except NoScriptError:
            return await send("EVAL", loaded.source, *arguments)

    async def _send(self, *command: Argument) -> Any:  # noqa: ANN401 - each command has its own reply
        (reply,) = await self._client.send(_key(command), command)
        return reply

    async def _write(self, *command: Argument) -> Any:  # noqa: ANN401 - each command has its own reply
        if not self._replicas.required:
            return await self._send(*command)
        key = _key(command)
        reply, _, acknowledged = await self._client.send(key, command, *self._replicas.waiting(key))
        self._replicas.require(acknowledged)
        return reply


def _key(command: Command) -> str:
    """Return the key that tells where a command goes."""
    return str(command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1])
