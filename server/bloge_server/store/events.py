"""Reads the streams of what happened in topics, which scripts write (`include/telling.lua`)."""

from typing import NamedTuple

from bloge_server.store.redis_store import RedisStore

_NONE = "-"


class EventId(NamedTuple):
    """The place of an entry in a stream: the store's time in ms, and a number among those of the same ms."""

    ms: int
    number: int

    def __str__(self) -> str:
        """Return it as Redis writes it."""
        return f"{self.ms}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> "EventId":
        """Return the place that Redis writes so."""
        ms, _, number = text.partition("-")
        return cls(int(ms), int(number))


class ItemEvent(NamedTuple):
    """What happened to one item."""

    kind: str
    detail: str
    item_id: str
    worker_id: str
    fence: int
    reply_group: str


class Entry(NamedTuple):
    """What one call did."""

    event_id: EventId
    events: list[ItemEvent]


class Part(NamedTuple):
    """A piece of a stream."""

    read_at_ms: int
    """The store's time just before it was read: everything earlier is in the stream by now."""
    entries: list[Entry]
    is_full: bool
    """True if there may be more."""


async def read_after(store: RedisStore, topic: tuple[str, str], after: EventId, limit: int) -> Part:
    """Return the entries behind a place, oldest first, at most so many.

    Raises:
        RemoteWorkersError: the store cannot be reached.
    """
    return await _read(store, topic, str(after), limit)


async def read_last(store: RedisStore, topic: tuple[str, str], limit: int) -> Part:
    """Return the latest entries, oldest first, at most so many; raises what `read_after` raises."""
    return (await _read(store, topic, "", limit))._replace(is_full=False)


async def _read(store: RedisStore, topic: tuple[str, str], after: str, limit: int) -> Part:
    now_ms, *found = await store.read("list_events", *topic, [after, limit])
    entries = [
        Entry(EventId.parse(event_id.decode()), [_event(line) for line in lines.decode().split("\n")])
        for event_id, lines in zip(found[::2], found[1::2], strict=True)
    ]
    return Part(now_ms, entries, len(entries) == limit)


def _event(line: str) -> ItemEvent:
    kind, detail, item_id, worker_id, fence, reply_group = ("" if word == _NONE else word for word in line.split(" "))
    return ItemEvent(kind, detail, item_id, worker_id, int(fence or 0), reply_group)
