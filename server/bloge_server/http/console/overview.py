"""The first page: every topic at a glance, and what needs attention."""

import asyncio
from collections.abc import Collection, Iterable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.http.console import attention, curves
from bloge_server.http.console.attention import TopicFacts
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.curves import Activity, ReadCounts
from bloge_server.http.console.presence import is_here
from bloge_server.http.console.site import Site, namespace_of, now_ms, page_after
from bloge_server.http.console.topics import oldest_ready

_TOPICS = 100
_WORKERS = 1000
_AT_ONCE = 8


class TopicRow(NamedTuple):
    """A topic in the table."""

    topic: ops.Topic
    oldest: str
    activity: Activity
    workers: int
    free_slots: int


class Overview:
    """The page.

    Args:
        site: renders it.
        calls: ask the server.
        read_counts: returns what happened in a topic lately.
    """

    def __init__(self, site: Site, calls: Calls, read_counts: ReadCounts) -> None:
        self._site = site
        self._calls = calls
        self._read_counts = read_counts

    def routes(self) -> list[Route]:
        """Return the route."""
        return [self._site.route("", self.show), self._site.route("/", self.show)]

    async def show(self, request: Request) -> Response:
        """Show every topic, a page at a time."""
        namespace = namespace_of(request)
        asked = ops.ListTopicsRequest(
            namespace=namespace, page_size=_TOPICS, page_token=request.query_params.get("page", "")
        )
        listed, present = await asyncio.gather(
            self._calls.ListTopics(asked),
            self._calls.ListWorkers(ops.ListWorkersRequest(namespace=namespace, page_size=_WORKERS)),
        )
        serving = [each for each in present.workers if not each.draining and is_here(each, now_ms(request))]
        facts = await self._facts(namespace, listed.topics, serving)
        rows = [TopicRow(each.topic, oldest_ready(each.topic), *each[1:]) for each in facts]
        return self._site.page(
            request,
            "overview",
            topics=rows,
            notices=attention.notices(facts),
            next_page=page_after(namespace, listed.next_page_token),
            origin=str(request.base_url).rstrip("/"),
        )

    async def _facts(
        self, namespace: str, topics: Iterable[ops.Topic], serving: Collection[ops.WorkerInfo]
    ) -> list[TopicFacts]:
        room = asyncio.Semaphore(_AT_ONCE)

        async def facts(topic: ops.Topic) -> TopicFacts:
            async with room:
                counts = await self._read_counts((namespace, topic.worker_topic))
            here = [worker for worker in serving if topic.worker_topic in worker.worker_topics]
            free = sum(max(0, worker.slots - worker.held_leases) for worker in here)
            return TopicFacts(topic, curves.activity(counts), len(here), free)

        return list(await asyncio.gather(*map(facts, topics)))
