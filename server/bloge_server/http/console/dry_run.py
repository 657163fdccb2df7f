"""What an act on all dead letters that match would do: counted by the store, before anybody decides."""

from typing import NamedTuple

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.dead_letter_filter import LetterFilter

_CALLS = 10
"""Each counts some ten thousand."""
_TOPICS = 1000


class Dry(NamedTuple):
    """What was counted."""

    total: int
    settled: int
    is_cut: bool
    """True if there are more than were counted."""
    topics: tuple[str, ...]
    """Where there may be some."""

    @property
    def waiting(self) -> int:
        """How many would be replayed."""
        return self.total - self.settled


async def dry_run(calls: Calls, namespace: str, chosen: LetterFilter) -> Dry:
    """Count the dead letters that a filter means."""
    asked = ops.GroupDeadLettersRequest(namespace=namespace, worker_topic=chosen.topic, filter=chosen.criteria())
    groups: list[ops.DeadLetterGroup] = []
    for _ in range(_CALLS):
        reply = await calls.GroupDeadLetters(asked)
        groups.extend(reply.groups)
        asked.page_token = reply.next_page_token
        if not asked.page_token:
            break
    is_cut = bool(asked.page_token)
    counted = tuple(dict.fromkeys(group.worker_topic for group in groups))
    topics = await _all_topics(calls, namespace) if is_cut and not chosen.topic else counted
    settled = sum(group.settled_count for group in groups)
    return Dry(sum(group.count for group in groups), settled, is_cut, topics)


async def _all_topics(calls: Calls, namespace: str) -> tuple[str, ...]:
    """Return the topics that have dead letters, whatever they are."""
    asked, found = ops.ListTopicsRequest(namespace=namespace, page_size=_TOPICS), []
    while True:
        reply = await calls.ListTopics(asked)
        found += [topic.worker_topic for topic in reply.topics if topic.dead_letter_count]
        asked.page_token = reply.next_page_token
        if not asked.page_token:
            return tuple(found)
