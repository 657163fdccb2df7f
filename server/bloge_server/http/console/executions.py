"""Executions: listed, and one of them as its graph, its nodes in time, and its journal; cancel."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.http.console import execution_shown, shown
from bloge_server.http.console.calls import Calls
from bloge_server.http.console.execution_story import data_of, stories
from bloge_server.http.console.forms import invalid, name_in, posted
from bloge_server.http.console.site import Site, namespace_of, now_ms, page_after, see

_PAGE = 50
_EVENTS_AT_ONCE = 1000
_MOST_EVENTS = 5_000
"""A longer journal is not read whole for a page."""
_SHOWN_EVENTS = 200
_DETAIL_CHARS = 300
_REASON_CHARS = 256
_PREFIX = "EXECUTION_STATUS_"
STATUSES = [name.removeprefix(_PREFIX) for name in pb.ExecutionStatus.keys()[1:]]
_RUNNING = frozenset({"PENDING", "RUNNING"})


class ExecutionCalls(Protocol):
    """What the console asks about executions: the calls of `ExecutionService`, in this process."""

    async def List(self, request: pb.ListRequest) -> pb.ListResponse:
        """List executions."""

    async def Get(self, request: pb.ExecutionServiceGetRequest) -> pb.ExecutionServiceGetResponse:
        """Read an execution."""

    async def Cancel(self, request: pb.ExecutionServiceCancelRequest) -> pb.ExecutionServiceCancelResponse:
        """Ask for cancellation."""

    async def ReadEvents(self, request: pb.ReadEventsRequest) -> pb.ReadEventsResponse:
        """Read a journal."""


class ExecutionPages:
    """The list, and the page of one execution.

    Args:
        site: renders them.
        calls: ask the server.
        executions: ask it about executions.
    """

    def __init__(self, site: Site, calls: Calls, executions: ExecutionCalls) -> None:
        self._site = site
        self._calls = calls
        self._executions = executions

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._site.route("/executions", self.show_all),
            self._site.route("/executions/{execution}", self.show),
            self._site.route("/executions/{execution}/cancel", self.cancel, "POST"),
        ]

    async def show_all(self, request: Request) -> Response:
        """List executions, latest first."""
        namespace, graph = namespace_of(request), name_in(request.query_params, "graph")
        status = request.query_params.get("status", "")
        if status and status not in STATUSES:
            raise invalid("status", f"must be one of {', '.join(STATUSES)}")
        asked = pb.ListRequest(
            namespace=namespace,
            page_size=_PAGE,
            page_token=request.query_params.get("page", ""),
            status=pb.ExecutionStatus.Value(f"{_PREFIX}{status or 'UNSPECIFIED'}"),
            graph_name=graph,
        )
        listed = await self._executions.List(asked)
        return self._site.page(
            request,
            "executions",
            executions=[(each, status_of(each)) for each in listed.executions],
            graph=graph,
            status=status,
            statuses=STATUSES,
            next_page=page_after(namespace, listed.next_page_token, "executions", graph=graph, status=status),
        )

    async def show(self, request: Request) -> Response:
        """Show an execution as far as it has come."""
        namespace, execution_id = namespace_of(request), request.path_params["execution"]
        asked = pb.ExecutionServiceGetRequest(namespace=namespace, execution_id=execution_id)
        execution = (await self._executions.Get(asked)).execution
        events, payload = await asyncio.gather(
            self._events(namespace, execution_id), self._payload(namespace, execution)
        )
        told = stories(events)
        graph = execution_shown.graph_in(payload)
        end = execution.end_time.ToMilliseconds() if execution.HasField("end_time") else now_ms(request)
        begin = execution.start_time.ToMilliseconds()
        return self._site.page(
            request,
            "execution",
            execution=execution,
            status=status_of(execution),
            is_running=status_of(execution) in _RUNNING,
            reason=shown.reason_of(execution.dead_letter_reason),
            picture=execution_shown.picture(graph, told) if graph else None,
            rows=execution_shown.rows(told.values(), begin, end),
            nodes=len(told),
            took=end - begin,
            events=[(event, _detail(event)) for event in reversed(events[-_SHOWN_EVENTS:])],
            events_read=len(events),
            is_cut=execution.next_sequence - 1 > len(events),
        )

    async def cancel(self, request: Request) -> Response:
        """Ask for cancellation."""
        namespace, execution_id = namespace_of(request), request.path_params["execution"]
        action = (await posted(request)).action()
        asked = pb.ExecutionServiceCancelRequest(
            namespace=namespace, execution_id=execution_id, reason=action.reason[:_REASON_CHARS]
        )
        await self._calls.record_action((namespace, execution_id), "CancelExecution", action, asked)
        await self._executions.Cancel(asked)
        return see(request, "executions", execution_id)

    async def _events(self, namespace: str, execution_id: str) -> Sequence[pb.JournalEvent]:
        """Return the journal from its beginning, as much as a page takes."""
        asked = pb.ReadEventsRequest(
            namespace=namespace, execution_id=execution_id, first_sequence=1, max_events=_EVENTS_AT_ONCE
        )
        found: list[pb.JournalEvent] = []
        while len(found) < _MOST_EVENTS:
            events = (await self._executions.ReadEvents(asked)).events
            found.extend(events)
            if not events:
                break
            asked.first_sequence = events[-1].sequence + 1
        return found

    async def _payload(self, namespace: str, execution: pb.Execution) -> bytes:
        """Return what the execution's work item carries; empty if it is gone."""
        ref = work_item_pb2.WorkItemRef(
            namespace=namespace, worker_topic=execution.worker_topic, item_id=execution.execution_id
        )
        try:
            (item,) = await self._calls.read_items(namespace, ref.worker_topic, [ref.item_id])
        except RemoteWorkersError as error:
            if error.reason is not Reason.NOT_FOUND:
                raise
            return b""
        return item.spec.payload if item is not None else b""


def status_of(execution: pb.Execution) -> str:
    """Return where an execution stands."""
    known = pb.ExecutionStatus.DESCRIPTOR.values_by_number.get(execution.status)
    return known.name.removeprefix(_PREFIX) if known else str(execution.status)


def _detail(event: pb.JournalEvent) -> str:
    """Return what an event says, in short; work items are bytes that nobody reads."""
    told = {name: value for name, value in data_of(event).items() if name != "workItem" and value not in (None, "", [])}
    text = shown.compact(told) if told else ""
    return text if len(text) <= _DETAIL_CHARS else f"{text[:_DETAIL_CHARS]}…"
