"""Reads a whole topic behind the store's back, in one round trip."""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from bloge_server.domain.work_item import ItemPolicy, ItemState
from bloge_server.store import codec
from bloge_server.store.connection import Client

from .model.item import Attempt, LateOutput

GROUPS = ("group", "other")
"""The reply groups of histories."""
NAMES = ("ready", "leases", "retry", "deadlines", "dead", "finished", *(f"outbox:{group}" for group in GROUPS))
"""Where items may stand: indexes and outboxes."""


class Record(NamedTuple):
    """What the store has of one item."""

    policy: ItemPolicy
    state: ItemState
    fields: dict[str, bytes]
    """Those that are not packed."""
    indexes: dict[str, int]
    """The score in each index and outbox in which the item stands."""

    @property
    def history(self) -> tuple[Attempt, ...]:
        """The ended attempts."""
        return _history(self.fields.get("history", b""))

    @property
    def late_outputs(self) -> dict[int, LateOutput]:
        """Outputs that came too late, by fence."""
        fences = self.fields.get("late_fences", b"").decode().split()
        return {int(fence): _late_output(self.fields[f"late_output:{fence}"]) for fence in fences}


class Snapshot(NamedTuple):
    """A whole topic at one instant."""

    records: dict[str, Record]
    strays: dict[str, dict[str, int]]
    """Index entries of items that are not there, by item id."""
    groups: dict[str, int]
    """Reply groups with outcomes that nobody acknowledged, and since when."""
    counts: dict[str, int]
    """The topic's counters."""


_READ_ALL = """#!lua flags=no-writes
local replies = {}
for i, key in ipairs(KEYS) do
  local is_hash = i > tonumber(ARGV[1])
  replies[i] = is_hash and redis.call('HGETALL', key) or redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
end
return replies
"""


async def read(client: Client, base: str, ids: Sequence[str]) -> Snapshot:
    """Read every index and every item of a topic whose keys begin with `base`."""
    sorted_sets = [base + name for name in (*NAMES, "outboxes")]
    keys = [*sorted_sets, base + "topic", *(f"{base}item:{item_id}" for item_id in ids)]
    (replies,) = await client.send(base, ("EVAL", _READ_ALL, len(keys), *keys, len(sorted_sets)))
    *indexes, groups, topic = replies[: len(sorted_sets) + 1]
    stands: dict[str, dict[str, int]] = {}
    for name, entries in zip(NAMES, indexes, strict=True):
        for member, score in _pairs(entries):
            stands.setdefault(member.decode(), {})[name] = int(float(score))
    records = {}
    for item_id, found in zip(ids, replies[len(sorted_sets) + 1 :], strict=True):
        if found:
            fields = {name.decode(): value for name, value in _pairs(found)}
            policy, state = codec.policy(fields.pop("policy")), codec.state(fields.pop("state"))
            records[item_id] = Record(policy, state, fields, stands.pop(item_id, {}))
    waiting = {group.decode(): int(float(since)) for group, since in _pairs(groups)}
    counts = {name.decode(): int(value) for name, value in _pairs(topic) if value.isdigit()}
    return Snapshot(records, stands, waiting, counts)


def _pairs(reply: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(reply[::2], reply[1::2], strict=True)


@lru_cache(maxsize=512)
def _history(packed: bytes) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            entry["attempt"],
            entry["worker"],
            entry["fence"],
            entry["claimed"],
            entry["ended"],
            entry["end"],
            entry.get("due"),
            json.dumps(entry["failure"]) if "failure" in entry else None,
        )
        for entry in map(json.loads, packed.splitlines())
    )


def _late_output(packed: bytes) -> LateOutput:
    header, _, output = packed.partition(b"\n")
    at, size, worker, reason = header.decode().split(" ")
    return LateOutput(int(at), int(size), worker, reason, output if len(output) == int(size) else None)
