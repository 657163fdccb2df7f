"""What people did: recorded before it is done, and done once for each request id."""

import hashlib
from typing import Any, NamedTuple

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge_server.store import keys
from bloge_server.store.events import EventId
from bloge_server.store.redis_store import RedisStore

_KEPT = 10_000
_REQUEST_SECONDS = 86_400
_MARK_CHARS = 32
_RECORDED = ("verb", "target", "actor", "reason", "request_id", "detail")


class Action(NamedTuple):
    """Who does what to what, and why."""

    namespace: str
    verb: str
    target: str
    actor: str
    reason: str
    request_id: str
    """Empty: the act is not protected against repetition."""
    content: bytes
    """The request; the same id with another content is a mistake."""
    detail: str = ""
    """The request, for people."""


class RecordedAction(NamedTuple):
    """An action as it was recorded."""

    event_id: EventId
    verb: str
    target: str
    actor: str
    reason: str
    request_id: str
    detail: str


class ActionLog:
    """The record of actions in a namespace, and the replies of those that had a request id.

    Args:
        store: where it is kept.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def begin(self, action: Action) -> bytes | None:
        """Record an action that is about to be done; return the reply if it was done before.

        Raises:
            RemoteWorkersError: CONTENT_DIFFERS if the request id was used for something else.
        """
        if action.request_id:
            done = await self._done_before(action)
            if done is not None:
                return done
        words = [part for name in _RECORDED for part in (name, getattr(action, name))]
        await self._store.command("XADD", keys.actions(action.namespace), "MAXLEN", "~", _KEPT, "*", *words)
        return None

    async def finish(self, action: Action, reply: bytes) -> None:
        """Keep the reply of an action that was done, for a day."""
        if action.request_id:
            key = keys.action_reply(action.namespace, action.request_id)
            await self._store.command("SET", key, _mark(action) + reply, "EX", _REQUEST_SECONDS)

    async def latest(self, namespace: str, before: EventId | None, limit: int) -> list[RecordedAction]:
        """Return recorded actions, latest first.

        Args:
            namespace: theirs.
            before: only earlier ones than this; None for all.
            limit: most actions.
        """
        start = "+" if before is None else f"({before}"
        found = await self._store.command("XREVRANGE", keys.actions(namespace), start, "-", "COUNT", limit)
        return [_recorded(entry_id, fields) for entry_id, fields in found]

    async def _done_before(self, action: Action) -> bytes | None:
        key = keys.action_reply(action.namespace, action.request_id)
        mark = _mark(action)
        found: bytes | None = await self._store.command("GET", key)
        if found is None:
            # Only the mark: begun. If it is never finished, the same request is carried out again; each act may be.
            await self._store.command("SET", key, mark, "NX", "EX", _REQUEST_SECONDS)
            return None
        if found[:_MARK_CHARS] != mark:
            raise RemoteWorkersError(
                Reason.CONTENT_DIFFERS,
                f"request id {action.request_id!r} was used for another action; choose a new one",
            )
        return found[_MARK_CHARS:] if len(found) > _MARK_CHARS else None


def _recorded(entry_id: bytes, fields: Any) -> RecordedAction:  # noqa: ANN401 - clients give a list or a mapping
    words = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    return RecordedAction(
        EventId.parse(entry_id.decode()), *(words.get(name.encode(), b"").decode() for name in _RECORDED)
    )


def _mark(action: Action) -> bytes:
    text = f"{action.verb}\n{action.target}\n".encode() + action.content
    return hashlib.blake2b(text, digest_size=_MARK_CHARS // 2).hexdigest().encode()
