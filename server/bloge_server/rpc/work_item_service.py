"""`WorkItemService`: what enqueuers say and ask."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import lru_cache

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.status import to_status
from bloge.remote_workers.v1 import work_item_pb2, work_item_service_pb2_grpc
from bloge.remote_workers.v1 import work_item_service_pb2 as pb
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.names import is_name
from bloge_server.domain.work_item import NewItem
from bloge_server.rpc import items
from bloge_server.rpc.boundary import stream, unary
from bloge_server.rpc.fields import MAX_BATCH, Checks
from bloge_server.rpc.specs import new_item
from bloge_server.services.cancels import CancelWatch
from bloge_server.services.outcomes import News, Outcomes, OutcomeWatch, Source
from bloge_server.store.errors import backlog_full, unknown_schema
from bloge_server.store.redis_store import RedisStore

_DEFAULT_WAIT_MS = 30_000
_MAX_WAIT_MS = 600_000
_REASON_CHARS = 256
_FEW_GROUPS = 8
"""In so many outboxes a batch of items is found faster than by a look at each item."""


class WorkItemService(work_item_service_pb2_grpc.WorkItemServiceServicer):
    """Enqueues, reads, awaits and cancels work items.

    Args:
        store: where items live.
        outcomes: brings outcomes to watchers.
        cancels: is told what is about to be cancelled.
        on_topics: called with the topics of enqueued items.
        max_payload_bytes: the largest payload.
    """

    def __init__(
        self,
        store: RedisStore,
        outcomes: Outcomes,
        cancels: CancelWatch,
        on_topics: Callable[[Iterable[Topic]], None],
        max_payload_bytes: int,
    ) -> None:
        self._store = store
        self._outcomes = outcomes
        self._cancels = cancels
        self._on_topics = on_topics
        self._max_payload_bytes = max_payload_bytes

    @unary
    async def Enqueue(self, request: pb.EnqueueRequest) -> pb.EnqueueResponse:
        """Create work items, one script call a topic."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        checks.batch("items", len(request.items))
        by_topic: defaultdict[str, list[int]] = defaultdict(list)
        new: list[NewItem] = []
        for index, spec in enumerate(request.items):
            checks.prefix = f"items[{index}]."
            by_topic[spec.worker_topic].append(index)
            new.append(new_item(spec, checks, self._max_payload_bytes))
        checks.done()
        self._on_topics([(namespace, topic) for topic in by_topic])
        results = [pb.EnqueueResult() for _ in new]
        for topic, indexes in by_topic.items():
            enqueued = await self._store.enqueue(namespace, topic, [new[index] for index in indexes])
            for index, each in zip(indexes, enqueued, strict=True):
                results[index] = _enqueue_result(topic, each.item_id, each.status)
        return pb.EnqueueResponse(results=results)

    @unary
    async def Get(self, request: pb.GetRequest) -> pb.GetResponse:
        """Read one item."""
        topic, item_id = _checked_ref(request.item)
        (stored,) = await self._store.get(*topic, [item_id])
        if stored is None:
            raise items.not_found(request.item)
        return pb.GetResponse(item=items.item(stored))

    async def read_items(
        self, namespace: str, worker_topic: str, item_ids: Sequence[str]
    ) -> list[work_item_pb2.WorkItem | None]:
        """Read items of a topic at once, None where there is none; for callers in this process, names checked."""
        if not item_ids:
            return []
        found = await self._store.get(namespace, worker_topic, item_ids)
        return [None if stored is None else items.item(stored) for stored in found]

    @unary
    async def AwaitOutcome(self, request: pb.AwaitOutcomeRequest) -> pb.AwaitOutcomeResponse:
        """Wait for the outcome of one item."""
        checks = Checks()
        topic, item_id = _ref(checks, "item", request.item)
        wait_ms = _DEFAULT_WAIT_MS
        if request.HasField("wait_timeout"):
            wait_ms = checks.duration("wait_timeout", request.wait_timeout, 0, _MAX_WAIT_MS)
        checks.done()
        self._on_topics([topic])
        found = await self._outcomes.await_outcome(topic, item_id, wait_ms / 1000)
        return pb.AwaitOutcomeResponse(outcome=items.outcome(found) if found else None)

    @unary
    async def Cancel(self, request: pb.CancelRequest) -> pb.CancelResponse:
        """Cancel open items."""
        checks = Checks()
        checks.batch("items", len(request.items))
        checks.text("reason", request.reason, _REASON_CHARS)
        refs = _refs(checks, "items", request.items)
        checks.done()
        results = [pb.CancelResult(item=item) for item in request.items]
        for topic, indexes in _by_topic(refs).items():
            self._cancels.asked(topic, [refs[index][1] for index in indexes])
            answers = await self._store.cancel(*topic, [refs[index][1] for index in indexes], request.reason)
            for index, acted in zip(indexes, answers, strict=True):
                results[index].cancelled = acted.answer in {"CANCELLED", "CANCEL_REQUESTED"}
                if not results[index].cancelled:
                    results[index].error.CopyFrom(to_status(items.refusal(request.items[index], acted)))
        return pb.CancelResponse(results=results)

    @stream
    async def WatchOutcomes(
        self, requests: AsyncIterator[pb.WatchOutcomesRequest]
    ) -> AsyncIterator[pb.WatchOutcomesResponse]:
        """Deliver outcomes until they are acknowledged."""
        watch = self._outcomes.watch()
        reading = asyncio.create_task(self._read(watch, requests))
        news = asyncio.create_task(watch.next())
        # When both fail at once, with the store, one error ends the stream and the other says nothing more.
        reading.add_done_callback(_retrieve)
        try:
            while True:
                await asyncio.wait((reading, news), return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
                    return
                yield _frame(news.result())
                news = asyncio.create_task(watch.next())
        finally:
            self._outcomes.unwatch(watch)
            reading.cancel()
            news.cancel()

    async def _read(self, watch: OutcomeWatch, requests: AsyncIterator[pb.WatchOutcomesRequest]) -> None:
        """Do what the watcher says until it closes its side."""
        async for request in requests:
            match request.WhichOneof("frame"):
                case "add":
                    sources = _sources("add.sources", request.add)
                    self._on_topics([topic for topic, _ in sources])
                    watch.add(sources)
                case "remove":
                    watch.remove(_sources("remove.sources", request.remove))
                case "acknowledge":
                    await self._acknowledge(watch, request.acknowledge.items)
                case _:
                    raise RemoteWorkersError(Reason.PROTOCOL_VIOLATION, "a frame must have content")

    async def _acknowledge(self, watch: OutcomeWatch, refs: Iterable[work_item_pb2.WorkItemRef]) -> None:
        checks = Checks()
        named = _refs(checks, "acknowledge.items", refs)
        checks.batch("acknowledge.items", len(named))
        checks.done()
        for topic, indexes in _by_topic(named).items():
            groups = watch.groups_of(topic)
            likely = groups if len(groups) <= _FEW_GROUPS else ()
            await self._store.acknowledge(*topic, [named[index][1] for index in indexes], likely)


def _enqueue_result(worker_topic: str, item_id: str, status: str) -> pb.EnqueueResult:
    result = pb.EnqueueResult(item_id=item_id, created=status == "CREATED")
    if status == "DIFFERS":
        error = RemoteWorkersError(
            Reason.CONTENT_DIFFERS, f"work item {item_id!r} exists in topic {worker_topic!r} with other content"
        )
        result.error.CopyFrom(to_status(error))
    elif status == "UNKNOWN_SCHEMA":
        result.error.CopyFrom(to_status(unknown_schema(item_id)))
    elif status == "FULL":
        result.error.CopyFrom(to_status(backlog_full(worker_topic)))
    return result


def _ref(checks: Checks, path: str, item: work_item_pb2.WorkItemRef) -> tuple[Topic, str]:
    namespace = checks.namespace(item.namespace, f"{path}.namespace")
    topic = checks.name(f"{path}.worker_topic", item.worker_topic)
    return (namespace, topic), checks.name(f"{path}.item_id", item.item_id)


def _refs(checks: Checks, path: str, items: Iterable[work_item_pb2.WorkItemRef]) -> list[tuple[Topic, str]]:
    return [_valid_ref(item) or _ref(checks, f"{path}[{index}]", item) for index, item in enumerate(items)]


def _valid_ref(item: work_item_pb2.WorkItemRef) -> tuple[Topic, str] | None:
    """Return what a ref names; None if `_ref` must say what is wrong with it. A path costs more than the rest."""
    topic, item_id = _named(item.namespace, item.worker_topic), item.item_id
    return (topic, item_id) if topic is not None and is_name(item_id) else None


@lru_cache(maxsize=1024)
def _named(namespace: str, worker_topic: str) -> Topic | None:
    """Return the topic of a ref; the items of a batch share it, mostly."""
    checks = Checks()
    topic = (checks.namespace(namespace), checks.name("worker_topic", worker_topic))
    return None if checks.violations else topic


def _checked_ref(item: work_item_pb2.WorkItemRef) -> tuple[Topic, str]:
    checks = Checks()
    ref = _ref(checks, "item", item)
    checks.done()
    return ref


def _by_topic(refs: Iterable[tuple[Topic, str]]) -> dict[Topic, list[int]]:
    """Return the positions of the items of each topic."""
    grouped: defaultdict[Topic, list[int]] = defaultdict(list)
    for index, (topic, _) in enumerate(refs):
        grouped[topic].append(index)
    return grouped


def _sources(path: str, sources: pb.OutcomeSources) -> list[Source]:
    checks = Checks()
    checks.batch(path, len(sources.sources), MAX_BATCH)
    found = [
        (
            (
                checks.namespace(source.namespace, f"{path}[{index}].namespace"),
                checks.name(f"{path}[{index}].worker_topic", source.worker_topic),
            ),
            checks.name(f"{path}[{index}].reply_group", source.reply_group),
        )
        for index, source in enumerate(sources.sources)
    ]
    checks.done()
    return found


def _frame(news: News) -> pb.WatchOutcomesResponse:
    frame = pb.WatchOutcomesResponse()
    for stored in news.outcomes:
        items.fill_outcome(frame.outcomes.add(), stored)
    if news.caught_up:
        (namespace, worker_topic), reply_group = news.source
        frame.caught_up.add(namespace=namespace, worker_topic=worker_topic, reply_group=reply_group)
    return frame


def _retrieve(ended: "asyncio.Task[None]") -> None:
    """Look at how a task ended, so that nobody is told that nobody looked."""
    if not ended.cancelled():
        ended.exception()
