"""One work item: what is known of it, and what a person can do about it."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.status import from_status
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge.remote_workers.v1 import work_item_pb2 as pb
from bloge.remote_workers.v1 import work_item_service_pb2 as calls_of_items
from bloge_server.http.console import items_shown
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.forms import invalid, posted
from bloge_server.http.console.site import Site, namespace_of, now_ms, see

_PATH = "/topics/{topic}/items/{item}"
_CANCEL_REASON_CHARS = 256
_DID = {
    "replayed": "It was put back and starts over.",
    "discarded": "It was discarded.",
    "cancelled": "It was cancelled; a worker that runs it is told to stop.",
    "adopted": "The late output is the outcome now.",
}


class ItemPages:
    """The page of an item, and what is done there.

    Args:
        site: renders it.
        calls: ask the server.
    """

    def __init__(self, site: Site, calls: Calls) -> None:
        self._site = site
        self._calls = calls

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route(_PATH, self.show),
            self._site.route(f"{_PATH}/discard", self.discard, "POST"),
            self._site.route(f"{_PATH}/cancel", self.cancel, "POST"),
            self._site.route(f"{_PATH}/adopt", self.adopt, "POST"),
        ]

    async def show(self, request: Request) -> Response:
        """Show an item with its history."""
        found = await self._calls.GetWorkItem(ops.GetWorkItemRequest(item=ref_of(request)))
        view = items_shown.view(found.item, now_ms(request))
        return self._site.page(request, "item", view=view, did=_DID.get(request.query_params.get("did", ""), ""))

    async def discard(self, request: Request) -> Response:
        """Drop a dead letter."""
        ref = ref_of(request)
        asked = ops.DiscardDeadLettersRequest(
            namespace=ref.namespace,
            worker_topic=ref.worker_topic,
            filter=ops.DeadLetterFilter(item_ids=[ref.item_id]),
            action=(await posted(request)).action(),
        )
        raise_first((await self._calls.DiscardDeadLetters(asked)).refusals)
        return self.done(request, "discarded")

    async def cancel(self, request: Request) -> Response:
        """Cancel an open item."""
        ref = ref_of(request)
        action = (await posted(request)).action()
        asked = calls_of_items.CancelRequest(items=[ref], reason=action.reason[:_CANCEL_REASON_CHARS])
        await self._calls.record_action((ref.namespace, f"{ref.worker_topic}/{ref.item_id}"), "Cancel", action, asked)
        (result,) = (await self._calls.Cancel(asked)).results
        if not result.cancelled:
            raise from_status(result.error)
        return self.done(request, "cancelled")

    async def adopt(self, request: Request) -> Response:
        """Take a late output as the outcome."""
        fence = request.query_params.get("fence", "")
        if not fence.isdecimal():
            raise invalid("fence", "must be that of a late output")
        action = (await posted(request)).action()
        await self._calls.AdoptLateOutput(
            ops.AdoptLateOutputRequest(item=ref_of(request), fence=int(fence), action=action)
        )
        return self.done(request, "adopted")

    @staticmethod
    def done(request: Request, did: str) -> Response:
        """Send the browser back to the item."""
        ref = ref_of(request)
        return see(request, "topics", ref.worker_topic, "items", ref.item_id, did=did)


def ref_of(request: Request) -> pb.WorkItemRef:
    """Return the item that a page is about."""
    path = request.path_params
    return pb.WorkItemRef(namespace=namespace_of(request), worker_topic=path["topic"], item_id=path["item"])


def raise_first(refusals: Iterable[ops.DeadLetterRefusal]) -> None:
    """Raise why an item was left alone, if one was.

    Raises:
        RemoteWorkersError: the first refusal.
    """
    for refusal in refusals:
        raise from_status(refusal.error)
