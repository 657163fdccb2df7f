"""`/dead-letters`: what waits for a person."""

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ConfigDict, Field

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.gateway import views
from bloge_server.http.gateway.bodies import Body, RetryBody
from bloge_server.http.gateway.calls import Calls
from bloge_server.http.gateway.endpoints import Answer, Call, Endpoint
from bloge_server.http.gateway.replies import DeadLetter, Retried
from bloge_server.http.gateway.values import Instant, ItemId, Name, instant

_TAG = "dead letters"
_SCAN = 200
_MAX_PAGE = 1000
_MAX_SIZE = 200
_PAGE_BYTES = 2_500_000
"""Payloads beyond this are left out of a page."""


class DeadLettersQuery(Body):
    """Which dead letters."""

    model_config = ConfigDict(strict=False)

    item_id: str | None = None
    """Only this one: `<worker topic>:<item id>`."""
    instance_id: Name | None = None
    """Only those of this execution."""
    item_type: Literal["EXECUTE_NODE", "EXECUTE_GRAPH"] | None = None
    """Only those of this type."""
    shard_id: Name | None = None
    """Only those of this worker topic."""
    dead_lettered_after: Instant | None = None
    """Only those dead-lettered at or after this instant, ISO 8601 with its time zone."""
    page: Annotated[int, Field(ge=0, le=_MAX_PAGE)] = 0
    """Which page, from 0."""
    size: Annotated[int, Field(ge=1, le=_MAX_SIZE)] = 50
    """How many on a page."""


class DeadLetterEndpoints:
    """List and retry.

    Args:
        calls: what carries them out.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        return [
            Endpoint("GET", "/dead-letters", _TAG, self.show, {200: list[DeadLetter]}, query=DeadLettersQuery),
            Endpoint("POST", "/dead-letters/{itemId}/retry", _TAG, self.retry, {200: Retried}, (409,), RetryBody,
                     body_required=False),
        ]  # fmt: skip

    async def show(self, call: Call) -> Answer:
        """List dead letters, topic by topic, oldest first."""
        query: DeadLettersQuery = call.query
        wanted = (query.page + 1) * query.size
        found: list[pb.WorkItem] = []
        async for item in self._matching(call.namespace, query):
            found.append(item)
            if len(found) == wanted:
                break
        return Answer(200, [*await self._whole(call.namespace, found[query.page * query.size :])])

    async def _matching(self, namespace: str, query: DeadLettersQuery) -> AsyncIterator[pb.WorkItem]:
        """Yield the dead letters that a query means, without their payloads."""
        request = ops.ListDeadLettersRequest(namespace=namespace, worker_topic=query.shard_id or "", page_size=_SCAN)
        if query.item_id is not None:
            named = ItemId.parse(query.item_id)
            if request.worker_topic not in {"", named.worker_topic}:
                return
            request.worker_topic = named.worker_topic
            request.filter.item_ids.append(named.item_id)
        request.filter.execution_id = query.instance_id or ""
        if query.dead_lettered_after is not None:
            request.filter.dead_letter_time_from.CopyFrom(_timestamp(query.dead_lettered_after))
        while True:
            page = await self._calls.ListDeadLetters(request)
            for item in page.items:
                if query.item_type in {None, views.item_type(item)}:
                    yield item
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    async def _whole(self, namespace: str, items: list[pb.WorkItem]) -> list[DeadLetter]:
        """Return dead letters with their payloads, as far as they fit."""
        shown, room = [], _PAGE_BYTES
        for item in items:
            whole = None
            if room > 0:
                ids = [item.item.item_id]
                (whole,) = await self._calls.read_items(namespace, item.item.worker_topic, ids)
            room -= len(whole.spec.payload) if whole else 0
            shown.append(views.dead_letter(whole or item, whole=whole is not None))
        return shown

    async def retry(self, call: Call) -> Answer:
        """Put a dead letter back: it starts over with its full budget. A request id makes it safe to repeat."""
        body: RetryBody = call.body
        item_id = ItemId.parse(call.path["itemId"])
        (before,) = await self._calls.read_items(call.namespace, item_id.worker_topic, [item_id.item_id])
        if before is None:
            raise RemoteWorkersError(Reason.NOT_FOUND, f"there is no work item {item_id}")
        request = ops.ReplayDeadLettersRequest(
            namespace=call.namespace,
            worker_topic=item_id.worker_topic,
            filter=ops.DeadLetterFilter(item_ids=[item_id.item_id]),
            action=ops.Action(request_id=body.request_id or "", actor=body.actor, reason=body.reason),
        )
        reply = await self._calls.ReplayDeadLetters(request)
        for refusal in islice(reply.refusals, 1):
            raise from_status(refusal.error)
        retried = Retried(
            item_id=str(item_id),
            instance_id=before.spec.execution_id or None,
            retried_item_count=reply.replayed_count,
            idempotent_replay=before.status != pb.WORK_ITEM_STATUS_DEAD_LETTER,
            attempt_status="SUCCEEDED",
            status="RESTORED",
            request_id=body.request_id,
            failure_phase=None,
            failure_class=None,
            failure_message=None,
            recorded_at=instant(call.now_ms),
        )
        return Answer(200, retried)


def _timestamp(at: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
