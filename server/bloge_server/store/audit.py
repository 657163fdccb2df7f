"""Proves on a live store that every item stands where it should (promise L5), in bounded steps; repairs on request."""

from collections import defaultdict
from collections.abc import AsyncIterator

from bloge_server.store import keys
from bloge_server.store.execution_audit import ExecutionAuditor
from bloge_server.store.findings import Finding, Step
from bloge_server.store.redis_store import RedisStore

_STEP = 500
_SCAN = 1000
_INDEXES = ("ready", "leases", "retry", "deadlines", "dead", "finished")
_NO_GROUP = "-"
_MOST_GROUPS = 10_000
"""Reply groups of a topic that are counted in one call, which keeps the store from others for some milliseconds."""

Topic = tuple[str, str]


class Auditor:
    """Walks the records, then the indexes, outboxes and executions, of one topic or of a whole namespace.

    Args:
        store: the store.
        namespace: whose items.
        worker_topic: which topic; empty for all.
        repair: put right what can be put right.
    """

    def __init__(self, store: RedisStore, namespace: str, worker_topic: str = "", *, repair: bool = False) -> None:
        self._store = store
        self._namespace = namespace
        self._topic = worker_topic
        self._repair = repair
        self._topics: set[str] = {worker_topic} if worker_topic else set()
        self._told: set[Finding] = set()
        """An item is met once by its record and once in each index; what is wrong with it is told once."""

    async def run(self) -> AsyncIterator[Step]:
        """Yield the steps. A store in use may show what is just moving; a finding that stays is one."""
        self._topics |= set() if self._topic else set(await self._store.topics(self._namespace))
        async for step in self._walk_records():
            yield step
        for topic in sorted(self._topics):
            for index in _INDEXES:
                async for step in self._walk_index(topic, keys.topic_base(self._namespace, topic) + index, _NO_GROUP):
                    yield step
        async for step in self._walk_outboxes():
            yield step
        async for step in ExecutionAuditor(self._store, self._namespace, self._topic, repair=self._repair).run():
            yield Step(step.checked, self._news(step.findings))
        for topic in sorted(self._topics):
            yield await self._count_outboxes(topic)

    async def _walk_records(self) -> AsyncIterator[Step]:
        waiting: defaultdict[str, list[str]] = defaultdict(list)
        async for key in self._keys("item:"):
            topic, item_id = self._split(key, "item:")
            if topic not in self._topics:
                yield await self._announce(topic)
            waiting[topic].append(item_id)
            if len(waiting[topic]) == _STEP:
                yield await self._check(topic, waiting.pop(topic), _NO_GROUP)
        for topic, item_ids in waiting.items():
            yield await self._check(topic, item_ids, _NO_GROUP)

    async def _walk_outboxes(self) -> AsyncIterator[Step]:
        async for key in self._keys("outbox:"):
            topic, reply_group = self._split(key, "outbox:")
            async for step in self._walk_index(topic, key, reply_group):
                yield step

    async def _walk_index(self, topic: str, key: str, reply_group: str) -> AsyncIterator[Step]:
        cursor = 0
        while True:
            cursor, found = await self._store.command("ZSCAN", key, cursor, "COUNT", _STEP)
            item_ids = [member.decode() for member, _ in found]
            if item_ids:
                yield await self._check(topic, item_ids, reply_group)
            cursor = int(cursor)
            if cursor == 0:
                return

    async def _keys(self, kind: str) -> AsyncIterator[str]:
        """Yield the keys of a kind, in every topic that is audited."""
        pattern = keys.topic_base(self._namespace, self._topic or "*") + kind + "*"
        async for key in self._store.calls.scan(pattern, _SCAN):
            yield key

    async def _check(self, topic: str, item_ids: list[str], reply_group: str) -> Step:
        args: list[str | bytes | int | float] = [int(self._repair), reply_group, *item_ids]
        found = await self._store.run("audit", self._namespace, topic, args)
        findings = [
            Finding(self._namespace, topic, item_id.decode(), problem.decode(), repaired=bool(repaired))
            for item_id, problem, repaired in found
        ]
        return Step(len(item_ids), self._news(findings))

    def _news(self, findings: list[Finding]) -> list[Finding]:
        """Return the findings that were not told before."""
        new = [finding for finding in findings if finding not in self._told]
        self._told.update(new)
        return new

    async def _count_outboxes(self, topic: str) -> Step:
        """Hold the topic's list and count of outcomes that wait against its outboxes, all in one call."""
        found = await self._store.read("audit_outboxes", self._namespace, topic, [int(self._repair), _MOST_GROUPS])
        return Step(0, [Finding(self._namespace, topic, "", each.decode(), repaired=self._repair) for each in found])

    async def _announce(self, topic: str) -> Step:
        """Note a topic that has items but that nobody knows of."""
        self._topics.add(topic)
        if self._repair:
            await self._store.command("SADD", keys.NAMESPACES, self._namespace)
            await self._store.command("SADD", keys.topics(self._namespace), topic)
        problem = "has items, but is not in the list of topics"
        return Step(0, [Finding(self._namespace, topic, "", problem, repaired=self._repair)])

    def _split(self, key: str, kind: str) -> tuple[str, str]:
        """Return topic and rest of a key."""
        hash_tag, _, rest = key.partition("}:")
        return hash_tag.rpartition("/t/")[2], rest.removeprefix(kind)
