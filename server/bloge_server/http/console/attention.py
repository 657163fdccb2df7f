"""What an operator should look at first. No I/O: facts go in, a list comes out, the most pressing first."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console import shown
from bloge_server.http.console.curves import Activity

_REJECTED_RATIO = 0.05
_LEAST_REJECTED = 10
"""Fewer say nothing about a ratio."""
_MANY_LOST = 3


class Notice(NamedTuple):
    """Something to look at."""

    kind: str
    """`bad`, or `warn` where things may right themselves."""
    topic: str
    text: str
    fix: str
    """What to do."""
    parts: tuple[str, ...]
    """Path of the page where it is done."""
    query: dict[str, str]


class TopicFacts(NamedTuple):
    """What is known of a topic."""

    topic: ops.Topic
    activity: Activity
    workers: int
    """That serve it and take new items."""
    free_slots: int


def notices(topics: Iterable[TopicFacts]) -> list[Notice]:
    """Return what needs attention, what is bad before what may right itself."""
    found = [notice for facts in topics for notice in _of(facts)]
    return sorted(found, key=lambda notice: notice.kind != "bad")


def _of(facts: TopicFacts) -> Sequence[Notice]:
    return [notice for look in (_dead, _unserved, _paused, _full, _lost, _rejected) if (notice := look(facts))]


def _dead(facts: TopicFacts) -> Notice | None:
    number = facts.topic.dead_letter_count
    if not number:
        return None
    return _notice(
        facts, "bad", shown.plural(number, "dead letter"), "inspect, then replay or discard", ("dead-letters",)
    )


def _unserved(facts: TopicFacts) -> Notice | None:
    waiting = facts.topic.ready_count + facts.topic.retry_wait_count
    if not waiting or facts.workers:
        return None
    text = f"{shown.plural(waiting, 'item')} and no worker"
    return _notice(facts, "bad", text, "start a worker that serves this topic", ("topics", facts.topic.worker_topic))


def _paused(facts: TopicFacts) -> Notice | None:
    if not facts.topic.paused or not facts.topic.ready_count:
        return None
    text = f"paused with {shown.plural(facts.topic.ready_count, 'ready item')}"
    return _notice(facts, "warn", text, "resume it when the cause is gone", ("topics", facts.topic.worker_topic))


def _full(facts: TopicFacts) -> Notice | None:
    limit = facts.topic.backlog_limit
    if not limit or facts.topic.ready_count + facts.topic.retry_wait_count < limit:
        return None
    text = f"its backlog limit of {shown.count(limit)} is reached: enqueues are refused"
    return _notice(facts, "bad", text, "add workers, or raise the limit", ("topics", facts.topic.worker_topic))


def _lost(facts: TopicFacts) -> Notice | None:
    lost = facts.activity.leases_lost.total
    if lost < _MANY_LOST:
        return None
    text = f"{shown.plural(lost, 'lease')} lost in a quarter of an hour"
    fix = "see which workers die or freeze"
    return _notice(facts, "warn", text, fix, ("journal",), kind="retry,dead_letter")


def _rejected(facts: TopicFacts) -> Notice | None:
    rejected, accepted = facts.activity.rejected.total, facts.activity.accepted.total
    if rejected < _LEAST_REJECTED or rejected < _REJECTED_RATIO * (rejected + accepted):
        return None
    share = round(100 * rejected / (rejected + accepted))
    text = f"{share} % of reports rejected in a quarter of an hour"
    fix = "see whose leases run out before the work is done"
    return _notice(facts, "warn", text, fix, ("topics", facts.topic.worker_topic))


def _notice(facts: TopicFacts, how: str, text: str, fix: str, parts: tuple[str, ...], **query: str) -> Notice:
    topic = facts.topic.worker_topic
    return Notice(how, topic, text, fix, parts, query if parts[0] == "topics" else {"topic": topic, **query})
