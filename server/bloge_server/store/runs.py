"""How far long actions have come, for whoever looks on from whatever server."""

import json
from typing import NamedTuple

from bloge_server.store import keys
from bloge_server.store.redis_store import RedisStore

_KEPT_SECONDS = 86_400


class Run(NamedTuple):
    """A long action."""

    run_id: str
    title: str
    unit: str
    """What is counted."""
    started_ms: int
    updated_ms: int
    total: int = 0
    """How much there is to do, as far as is known; 0: not at all."""
    state: str = "running"
    """`running`, `finished`, `stopped` or `failed`."""
    done: int = 0
    refused: int = 0
    error: str = ""
    """Why it failed."""
    lines: tuple[str, ...] = ()
    """What is to be said beside the numbers; bounded."""


class RunBook:
    """The long actions of every namespace.

    Args:
        store: where they are noted.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def write(self, namespace: str, run: Run) -> bool:
        """Note how far an action has come; return whether it was asked to stop."""
        key = keys.run(namespace, run.run_id)
        stop, _ = await self._store.commands(
            ("EXISTS", _stop(key)), ("SET", key, json.dumps(run._asdict()), "EX", _KEPT_SECONDS)
        )
        return bool(stop)

    async def read(self, namespace: str, run_id: str) -> Run | None:
        """Return how far an action has come; None if there is none."""
        found: bytes | None = await self._store.command("GET", keys.run(namespace, run_id))
        if found is None:
            return None
        told = json.loads(found)
        known = {name: told[name] for name in Run._fields if name in told}  # a later release may know more
        return Run(**known | {"lines": tuple(known.get("lines", ()))})

    async def ask_to_stop(self, namespace: str, run_id: str) -> None:
        """Have an action stop after its next step."""
        await self._store.command("SET", _stop(keys.run(namespace, run_id)), 1, "EX", _KEPT_SECONDS)


def _stop(key: str) -> str:
    return f"{key}:stop"
