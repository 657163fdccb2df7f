"""From a name to the page of what is called so."""

import asyncio
from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import ops_service_pb2 as ops
from bloge_server.domain.names import is_name
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.executions import ExecutionCalls
from bloge_server.http.console.site import Site, namespace_of, see

_TOPICS = 1000
_AT_ONCE = 8
_NOT_FOUND = 404


class FindPages:
    """Finds topics, workers, executions and items.

    Args:
        site: renders what it says when it finds nothing.
        calls: ask the server.
        executions: ask it about executions.
    """

    def __init__(self, site: Site, calls: Calls, executions: ExecutionCalls) -> None:
        self._site = site
        self._calls = calls
        self._executions = executions

    def routes(self) -> list[Route]:
        """Return the route."""
        return [self._site.route("/find", self.find)]

    async def find(self, request: Request) -> Response:
        """Send the browser to the page of what is called so."""
        namespace, name = namespace_of(request), request.query_params.get("q", "").strip()
        parts = await self._place(namespace, name)
        if parts is None:
            return self._site.page(request, "find", _NOT_FOUND, q=name[:300])
        return see(request, *parts)

    async def _place(self, namespace: str, name: str) -> tuple[str, ...] | None:
        topic, _, item_id = name.partition(":")
        if is_name(topic) and is_name(item_id):
            return await self._item(namespace, [topic], item_id)
        if not is_name(name):
            return None
        listed = await self._calls.ListTopics(ops.ListTopicsRequest(namespace=namespace, page_size=_TOPICS))
        topics = [each.worker_topic for each in listed.topics]
        if name in topics:
            return "topics", name
        if await _is_there(self._calls.GetWorker(ops.GetWorkerRequest(namespace=namespace, worker_id=name))):
            return "workers", name
        if await _is_there(self._executions.Get(pb.ExecutionServiceGetRequest(namespace=namespace, execution_id=name))):
            return "executions", name
        return await self._item(namespace, topics, name)

    async def _item(self, namespace: str, topics: list[str], item_id: str) -> tuple[str, ...] | None:
        room = asyncio.Semaphore(_AT_ONCE)

        async def is_in(topic: str) -> bool:
            async with room:
                (item,) = await self._calls.read_items(namespace, topic, [item_id])
                return item is not None

        found = await asyncio.gather(*map(is_in, topics))
        there = [topic for topic, here in zip(topics, found, strict=True) if here]
        return ("topics", there[0], "items", item_id) if there else None


async def _is_there(call: Awaitable[object]) -> bool:
    """Return whether a call finds what it asks for."""
    try:
        await call
    except RemoteWorkersError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        return False
    return True
