"""Workers: all that were seen lately, and one with the items that it holds; drain."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.forms import posted
from bloge_server.http.console.items_shown import ListedItem
from bloge_server.http.console.site import Site, namespace_of, page_after, see

_PAGE = 100
_ITEMS = 100
"""Held items on a page."""


class WorkerPages:
    """The pages of workers, and what is done there.

    Args:
        site: renders them.
        calls: ask the server.
    """

    def __init__(self, site: Site, calls: Calls) -> None:
        self._site = site
        self._calls = calls

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/workers", self.show_all),
            self._site.route("/workers/{worker}", self.show),
            self._site.route("/workers/{worker}/drain", self.drain, "POST"),
        ]

    async def show_all(self, request: Request) -> Response:
        """List the workers."""
        namespace = namespace_of(request)
        asked = ops.ListWorkersRequest(
            namespace=namespace, page_size=_PAGE, page_token=request.query_params.get("page", "")
        )
        listed = await self._calls.ListWorkers(asked)
        next_page = page_after(namespace, listed.next_page_token, "workers")
        return self._site.page(request, "workers", workers=listed.workers, next_page=next_page)

    async def show(self, request: Request) -> Response:
        """Show one worker with what it holds."""
        namespace = namespace_of(request)
        asked = ops.GetWorkerRequest(namespace=namespace, worker_id=request.path_params["worker"])
        worker = (await self._calls.GetWorker(asked)).worker
        items: list[ListedItem] = []
        is_cut = False
        for topic in worker.worker_topics:
            held = await self._held(namespace, topic, worker.worker_id, _ITEMS - len(items))
            items.extend(map(ListedItem, held.items))
            if is_cut := bool(held.next_page_token) or len(items) == _ITEMS:
                break
        return self._site.page(request, "worker", worker=worker, items=items, is_cut=is_cut)

    async def drain(self, request: Request) -> Response:
        """Ask a worker to leave."""
        worker_id = request.path_params["worker"]
        action = (await posted(request)).action()
        asked = ops.DrainWorkerRequest(namespace=namespace_of(request), worker_id=worker_id, action=action)
        await self._calls.DrainWorker(asked)
        return see(request, "workers", worker_id)

    async def _held(self, namespace: str, topic: str, worker_id: str, most: int) -> ops.ListWorkItemsResponse:
        asked = ops.ListWorkItemsRequest(
            namespace=namespace,
            worker_topic=topic,
            worker_id=worker_id,
            status=pb.WORK_ITEM_STATUS_CLAIMED,
            page_size=most,
        )
        try:
            return await self._calls.ListWorkItems(asked)
        except RemoteWorkersError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return ops.ListWorkItemsResponse()  # it serves a topic that has nothing yet
