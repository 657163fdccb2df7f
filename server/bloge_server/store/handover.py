"""Hands outcomes to whoever watches them on this server, out of the reply of the call that wrote them.

Nobody has to read them then. Every other server hears of them and reads; this one leaves its own echo out, which it
knows by the word that it sent along.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from bloge_server.domain.lease_token import new_nonce
from bloge_server.domain.work_item import Emission, StoredOutcome
from bloge_server.store.keys import Topic
from bloge_server.store.nodes import Argument

_KINDS = {"complete": "COMPLETED", "business_error": "FAILED", "cancelled": "CANCELLED"}
_HEAD = 5
_EACH = 4
_NOBODY = "-"

Part = Sequence[Argument]
"""Of a call: claim, kind, digest and body of one report."""


class Watchers(Protocol):
    """Those on this server who watch outcomes."""

    def watch_any(self, topic: Topic) -> bool:
        """Return whether anybody watches outcomes of a topic."""

    def arose(self, emission: Emission) -> None:
        """Take outcomes that were written, or that they are to be read."""

    def look_again(self, topic: Topic) -> None:
        """Read what may have been written without a word about it."""


class Handover:
    """The way of outcomes from a `complete` call to the watchers of its server."""

    def __init__(self) -> None:
        self.watchers: Watchers | None = None
        self._origin = new_nonce()

    def is_echo(self, origin: str) -> bool:
        """Return whether a herald tells of what the reply of a call here tells, or has told."""
        return origin == self._origin

    async def complete(
        self, call: Callable[[Sequence[Argument]], Awaitable[Sequence[Any]]], topic: Topic, parts: Sequence[Part]
    ) -> Sequence[Any]:
        """Make a `complete` call; return its answers.

        Args:
            call: makes it, with these arguments.
            topic: of the items.
            parts: the reports.
        """
        watchers = self.watchers if self.watchers is not None and self.watchers.watch_any(topic) else None
        flat = [word for part in parts for word in part]
        if watchers is None:
            return await call([_NOBODY, *flat])
        try:
            reply = await call([self._origin, *flat])
        except BaseException:
            # It may have written, or may do so yet: what is heard of it from now on is no echo of a reply.
            self._origin = new_nonce()
            watchers.look_again(topic)
            raise
        for told in reply[len(parts) :]:
            watchers.arose(_emission(topic, parts, told))
        return reply[: len(parts)]


def _emission(topic: Topic, parts: Sequence[Part], told: Sequence[Any]) -> Emission:
    group, before, place, whole, at = told[:_HEAD]
    source = (*topic, group.decode())
    outcomes = [
        _outcome(source, int(at), parts[position - 1], spec, worker.decode(), int(retries))
        for position, spec, worker, retries in zip(*(told[_HEAD + each :: _EACH] for each in range(_EACH)), strict=True)
    ]
    return Emission(topic, source[-1], int(before), int(place), outcomes if whole else None)


def _outcome(
    source: tuple[str, str, str], at: int, part: Part, spec: bytes, worker: str, retries: int
) -> StoredOutcome:
    """Return an outcome as a read would, but for attempts before the last, which tell nothing about an output."""
    claim, kind, _, body = part
    assert isinstance(body, bytes)
    namespace, worker_topic, group = source
    failed = kind == "business_error"
    return StoredOutcome(
        namespace=namespace,
        worker_topic=worker_topic,
        item_id=str(claim).partition("/")[0],
        kind=_KINDS[str(kind)],
        outcome_ms=at,
        status="DONE",
        retry_count=retries,
        worker_id="" if worker == _NOBODY else worker,
        reply_group=group,
        spec=spec,
        output=b"" if failed else body,
        business_error=body if failed else b"",
        history=b"",
        dead_reason="",
        discarded=False,
    )
