"""A real store behind two servers, and the model beside it: both are carried through the same calls."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.lifecycle import Status
from bloge_server.domain.work_item import Acted, Claimed, ClaimOrder, SweepResult, TopicLimits
from bloge_server.store import scripts, topics
from bloge_server.store.connection import Client
from bloge_server.store.execution_items import purge_items
from bloge_server.store.redis_store import RedisStore

from . import comparing, reading
from .model.call import Call
from .model.topic import Topic
from .promises import Promises, Step
from .telling import Told

TOPIC = "topic"
RETENTION_MS = 5000
START_MS = 1_700_000_000_000
LIMITS = TopicLimits(backlog=4, dead_letters=2)
"""What both servers say about topics that say nothing themselves."""

_names = itertools.count()
_T = TypeVar("_T")


class Release(NamedTuple):
    """What a server runs: its scripts, and the schemas that they read; they write the latest of these."""

    load: Callable[[str], scripts.Script]
    reads: frozenset[str]


PRESENT = Release(scripts.load, frozenset("1"))


class By(NamedTuple):
    """Which server carries a call out, and what its dice show."""

    server: int
    roll: float


class Place(NamedTuple):
    """Where pairs live: a store that many of them share one after the other."""

    loop: asyncio.AbstractEventLoop
    client: Client
    releases: tuple[Release, Release]


class Pair:
    """One topic, on a real store and as a model.

    Args:
        place: where it lives; it makes a namespace of its own there.
        ids: of all items that it may ever have.
    """

    def __init__(self, place: Place, ids: Sequence[str]) -> None:
        self.now = START_MS
        self.ids = ids
        self.namespace = f"history-{next(_names)}"
        self.model = Topic(self.namespace, TOPIC)
        self.seen = reading.Snapshot({}, {}, {}, {})
        """The store's side after the last call."""
        self.tokens: list[LeaseToken] = []
        """Every token that was handed out, in their order."""
        self._place = place
        self._base = f"bloge:{{{self.namespace}/t/{TOPIC}}}:"
        self._promises = Promises()
        self._roll = 0.0
        self._stores = [
            RedisStore(
                place.client,
                retention_ms=RETENTION_MS,
                limits=LIMITS,
                clock=lambda: self.now,
                dice=lambda: self._roll,
                load=release.load,
            )
            for release in place.releases
        ]
        self._told = [Told(store) for store in self._stores]

    def call(self, by: By, verb: str, *args: Any) -> Any:
        """Carry out a call on both sides; hold the store's answer and state against the promises and the model.

        Raises:
            AssertionError: a promise is broken, or the store differs from the model.
        """
        store, told, self._roll = self._stores[by.server], self._told[by.server], by.roll

        async def carried() -> tuple[Any, reading.Snapshot]:
            answer = await getattr(store, verb)(self.namespace, TOPIC, *args)
            await told.check()
            return answer, await reading.read(self._place.client, self._base, self.ids)

        before = self.seen
        answer, self.seen = self._do(carried())
        self._promises.check(Step(self.now, verb, args, answer, before, self.seen))
        predicted = getattr(self.model, verb)(self._modelled(by, answer), *args)
        wrong = [] if _agree(answer, predicted) else [f"answered {answer}, should be {predicted}"]
        wrong += comparing.differences(self.seen, self.model)
        assert not wrong, "\n".join([f"{verb}{args} at {self.now}:", *wrong])
        return answer

    def claim(self, by: By, order: ClaimOrder) -> list[LeaseToken]:
        """Claim items; return the tokens of their leases."""
        tokens = [lease.token for lease in self.call(by, "claim", order).leases]
        self.tokens += [token for token in tokens if token not in self.tokens]  # a request may be repeated
        return tokens

    def configure(self, by: By, settings: dict[topics.Setting, int | str | None]) -> None:
        """Pause, resume or limit the topic."""
        self._do(topics.configure(self._stores[by.server], self.namespace, TOPIC, settings))
        self.model.configure(settings.items())

    def purge(self, by: By, item_ids: Sequence[str]) -> None:
        """Remove executions that a sweep has found past their retention."""
        before = self.seen
        self._do(purge_items(self._stores[by.server], self.namespace, TOPIC, item_ids))
        self.model.purge(item_ids)
        self.seen = self._do(reading.read(self._place.client, self._base, self.ids))
        self._promises.check(Step(self.now, "purge", (item_ids,), None, before, self.seen))
        assert not comparing.differences(self.seen, self.model)

    def audit(self) -> list[Any]:
        """Return what the audit of the latest release finds; it must be nothing."""
        return list(self._do(self._stores[-1].run("audit", self.namespace, TOPIC, [0, "-", *self.ids])))

    def standing(self, *statuses: Status) -> list[str]:
        """Return the items of these statuses."""
        return sorted(item_id for item_id, record in self.seen.records.items() if record.state.status in statuses)

    def close(self) -> None:
        """Leave nothing behind in the store."""
        names = (*reading.NAMES, "outboxes", "topic", *(f"item:{item_id}" for item_id in self.ids))
        self._do(self._place.client.send(self._base, ("UNLINK", *(self._base + name for name in names))))

    def _modelled(self, by: By, answer: object) -> Call:
        """Return the call as the model sees it; of a claim only the store can know the secret of its leases."""
        nonce = ""
        if isinstance(answer, Claimed) and answer.leases:
            nonce = answer.leases[0].token.claim.rpartition("/")[2]
        reads = self._place.releases[by.server].reads
        return Call(self.now, by.roll, reads, LIMITS, RETENTION_MS, self.model.next_outcome, nonce)

    def _do(self, call: Awaitable[_T]) -> _T:
        async def carried() -> _T:
            return await call

        return self._place.loop.run_until_complete(carried())


def _agree(answer: Any, predicted: Any) -> bool:
    """Return whether an answer is the predicted one. What may be told in vain must at least not be missed."""
    if isinstance(answer, Claimed) and isinstance(predicted, Claimed):
        return answer.leases == predicted.leases and answer.more >= predicted.more
    if isinstance(answer, SweepResult) and isinstance(predicted, SweepResult):
        in_time = predicted.next_due_ms < 0 or 0 < answer.next_due_ms <= predicted.next_due_ms
        return in_time and answer._replace(next_due_ms=0) == predicted._replace(next_due_ms=0)
    if isinstance(predicted, Acted) and not isinstance(answer, Acted):  # of `await_outcome`
        status, outcome = answer
        return bool(status == predicted.answer and (outcome is None or outcome.kind == predicted.outcome))
    return bool(answer == predicted)
