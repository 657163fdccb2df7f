"""Finds dead letters wherever they are, and acts on them topic by topic."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_orchestrator.cli.options import Selection
from bloge_orchestrator.cli.problems import CommandFailed
from bloge_orchestrator.control_plane import ControlPlane
from bloge_orchestrator.outcome_watch import ItemRef

_PAGE = 500


@dataclass(slots=True)
class Acted:
    """What an act came to."""

    count: int = 0
    refused: int = 0
    refusals: list[ops.DeadLetterRefusal] = field(default_factory=list)


async def pages(
    control_plane: ControlPlane, namespace: str, selection: Selection, limit: int | None = None
) -> AsyncIterator[pb.WorkItem]:
    """Yield the dead letters of a selection, up to a limit."""
    request = ops.ListDeadLettersRequest(
        namespace=namespace, worker_topic=selection.worker_topic, filter=selection.criteria
    )
    count = 0
    while limit is None or count < limit:
        request.page_size = _PAGE if limit is None else min(_PAGE, limit - count)
        reply = await control_plane.list_dead_letters(request)
        for item in reply.items:
            yield item
        count += len(reply.items)
        request.page_token = reply.next_page_token
        if not reply.next_page_token:
            return


async def find(control_plane: ControlPlane, namespace: str, worker_topic: str, item_id: str) -> ItemRef:
    """Name an item; without a topic it is looked for among the dead letters of all topics.

    Raises:
        CommandFailed: If it is not there, or in several topics.

    """
    if worker_topic:
        return ItemRef(namespace, worker_topic, item_id)
    criteria = ops.DeadLetterFilter(item_ids=[item_id])
    found = [item.item async for item in pages(control_plane, namespace, Selection("", criteria))]
    if len(found) == 1:
        return ItemRef(namespace, found[0].worker_topic, item_id)
    if not found:
        message = f"{item_id} is no dead letter in namespace {namespace}; for an item that is none, say its --topic"
        raise CommandFailed(message)
    topics = ", ".join(each.worker_topic for each in found)
    raise CommandFailed(f"{item_id} is a dead letter in {topics}; say which one with --topic")


async def topics_of(control_plane: ControlPlane, namespace: str, selection: Selection) -> list[str]:
    """Give the topics in which a selection finds something."""
    if selection.worker_topic:
        return [selection.worker_topic]
    found = [item.item.worker_topic async for item in pages(control_plane, namespace, selection)]
    return list(dict.fromkeys(found))


def _is_not_found(refusal: ops.DeadLetterRefusal) -> bool:
    return from_status(refusal.error).reason is Reason.NOT_FOUND


async def act_on_each_topic(
    topics: Iterable[str], max_items: int, call: Callable[[str, int], Awaitable[Acted]]
) -> Acted:
    """Act on one topic after the other, on so many items altogether at most.

    With several topics, an item that is named is missing from all but one of them: that is no refusal.
    """
    total, places = Acted(), list(topics)
    for topic in places:
        left = max_items - total.count
        if left <= 0:
            break
        acted = await call(topic, left)
        total.count += acted.count
        elsewhere = [each for each in acted.refusals if len(places) > 1 and _is_not_found(each)]
        total.refused += acted.refused - len(elsewhere)
        total.refusals += [each for each in acted.refusals if each not in elsewhere]
    return total
