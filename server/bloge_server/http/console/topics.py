"""One topic: its numbers, its workers, its items by status; pause and resume."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console import curves, shown
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.curves import ReadCounts
from bloge_server.http.console.forms import invalid, posted
from bloge_server.http.console.items_shown import ListedItem
from bloge_server.http.console.site import Site, namespace_of, page_after, see

_WORKERS = 100
_ITEMS = 50
STATUSES = ("READY", "CLAIMED", "RETRY_WAIT", "DEAD_LETTER", "DONE", "CANCELLED")


class TopicPages:
    """The page of a topic, and what is done there.

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
        """Return the routes."""
        return [
            self._site.route("/topics/{topic}", self.show),
            self._site.route("/topics/{topic}/pause", self.pause, "POST"),
            self._site.route("/topics/{topic}/resume", self.resume, "POST"),
        ]

    async def show(self, request: Request) -> Response:
        """Show a topic with a page of its items."""
        namespace, topic = namespace_of(request), request.path_params["topic"]
        status = request.query_params.get("status", "READY")
        if status not in STATUSES:
            raise invalid("status", f"must be one of {', '.join(STATUSES)}")
        found, present, items, counts = await asyncio.gather(
            self._calls.GetTopic(ops.GetTopicRequest(namespace=namespace, worker_topic=topic)),
            self._calls.ListWorkers(
                ops.ListWorkersRequest(namespace=namespace, worker_topic=topic, page_size=_WORKERS)
            ),
            self._calls.ListWorkItems(
                ops.ListWorkItemsRequest(
                    namespace=namespace,
                    worker_topic=topic,
                    status=pb.WorkItemStatus.Value(f"WORK_ITEM_STATUS_{status}"),
                    page_size=_ITEMS,
                    page_token=request.query_params.get("page", ""),
                )
            ),
            self._read_counts((namespace, topic)),
        )
        return self._site.page(
            request,
            "topic",
            topic=found.topic,
            oldest=oldest_ready(found.topic),
            activity=curves.activity(counts),
            workers=present.workers,
            items=list(map(ListedItem, items.items)),
            status=status,
            statuses=STATUSES,
            next_page=page_after(namespace, items.next_page_token, "topics", topic, status=status),
        )

    async def pause(self, request: Request) -> Response:
        """Stop claims of a topic."""
        topic = request.path_params["topic"]
        action = (await posted(request)).action()
        asked = ops.PauseTopicRequest(namespace=namespace_of(request), worker_topic=topic, action=action)
        await self._calls.PauseTopic(asked)
        return see(request, "topics", topic)

    async def resume(self, request: Request) -> Response:
        """Allow claims of a topic again."""
        topic = request.path_params["topic"]
        action = (await posted(request)).action()
        asked = ops.ResumeTopicRequest(namespace=namespace_of(request), worker_topic=topic, action=action)
        await self._calls.ResumeTopic(asked)
        return see(request, "topics", topic)


def oldest_ready(topic: ops.Topic) -> str:
    """Return the age of a topic's oldest ready item, for people."""
    if not topic.HasField("oldest_ready_age"):
        return shown.NOTHING
    return shown.duration(shown.span_of(topic.oldest_ready_age))
