"""`ExecutionService`: what those who start, watch and run executions say and ask."""

from collections.abc import Callable, Iterable

from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import execution_service_pb2 as pb
from bloge.remote_workers.v1 import execution_service_pb2_grpc
from bloge_server.dispatch.dispatcher import Topic
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.rpc import events, starts
from bloge_server.rpc import reports as convert
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.executions import execution, list_place, list_token, status_of, wanted_status
from bloge_server.rpc.fields import Checks
from bloge_server.services.executions import Executions
from bloge_server.services.journaling import Journaling
from bloge_server.store.journals import PAGE_EVENTS

_PAGE = 50
_MAX_PAGE = 1000
_MAX_WAIT_MS = 60_000
_REASON_CHARS = 256
_MAX_SEQUENCE = 2**53


class ExecutionService(execution_service_pb2_grpc.ExecutionServiceServicer):
    """Durable executions.

    Args:
        executions: the executions of the store.
        journaling: their journals.
        on_topics: called with the topics of executions.
        lease_ms: the lease of an owner that asks for none.
        max_payload_bytes: the largest payload.
    """

    def __init__(
        self,
        executions: Executions,
        journaling: Journaling,
        on_topics: Callable[[Iterable[Topic]], None],
        *,
        lease_ms: int,
        max_payload_bytes: int,
    ) -> None:
        self._executions = executions
        self._journaling = journaling
        self._on_topics = on_topics
        self._lease_ms = lease_ms
        self._max_payload_bytes = max_payload_bytes

    @unary
    async def Start(self, request: pb.StartRequest) -> pb.StartResponse:
        """Enqueue an execution."""
        start = starts.checked(request, self._lease_ms, self._max_payload_bytes)
        started = await self._executions.start(
            start.namespace, start.execution_id, start.facts, start.item_for, start.order
        )
        self._on_topics([(start.namespace, started.worker_topic)])
        response = pb.StartResponse(execution_id=start.execution_id, created=started.created)
        if started.lease is not None:
            convert.fill_lease(response.lease, start.namespace, started.lease, started.lease.lease_ms)
        return response

    @unary
    async def Get(self, request: pb.ExecutionServiceGetRequest) -> pb.ExecutionServiceGetResponse:
        """Read one execution."""
        checks = Checks()
        namespace, execution_id = _named(checks, request.namespace, request.execution_id)
        wait_ms = _wait_ms(checks, request.wait_timeout)
        checks.done()
        found = await self._executions.find(namespace, execution_id, wait_ms / 1000)
        return pb.ExecutionServiceGetResponse(execution=execution(namespace, found))

    @unary
    async def List(self, request: pb.ListRequest) -> pb.ListResponse:
        """List executions, latest first."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        size = checks.number("page_size", request.page_size or _PAGE, 1, _MAX_PAGE)
        checks.optional_name("graph_name", request.graph_name, "")
        status = wanted_status(checks, request.status)
        place = list_place(checks, request.page_token)
        checks.done()
        page = await self._executions.page(namespace, place, size, status, request.graph_name)
        response = pb.ListResponse(executions=[execution(namespace, each, brief=True) for each in page.executions])
        if page.more:
            response.next_page_token = list_token(page.place)
        return response

    @unary
    async def Cancel(self, request: pb.ExecutionServiceCancelRequest) -> pb.ExecutionServiceCancelResponse:
        """Ask for cancellation."""
        checks = Checks()
        namespace, execution_id = _named(checks, request.namespace, request.execution_id)
        checks.text("reason", request.reason, _REASON_CHARS)
        checks.done()
        await self._executions.cancel(namespace, execution_id, request.reason)
        return pb.ExecutionServiceCancelResponse()

    @unary
    async def OpenJournal(self, request: pb.OpenJournalRequest) -> pb.OpenJournalResponse:
        """Open a journal for the holder of the execution's lease."""
        owned = await self._journaling.open(_token(request.lease_token))
        beginning = owned.beginning
        return pb.OpenJournalResponse(
            next_sequence=beginning.next_sequence,
            cancel_requested=owned.cancel_requested,
            cancel_reason=owned.cancel_reason,
            events=map(events.event, beginning.events),
            max_output_bytes=self._max_payload_bytes,
        )

    @unary
    async def AppendEvents(self, request: pb.AppendEventsRequest) -> pb.AppendEventsResponse:
        """Append events."""
        checks = Checks()
        first = checks.number("first_sequence", request.first_sequence, 1, _MAX_SEQUENCE)
        contents, ending = events.checked(checks, request.events)
        checks.done()
        next_sequence = await self._journaling.append(_token(request.lease_token), first, contents, ending)
        return pb.AppendEventsResponse(next_sequence=next_sequence)

    @unary
    async def ReadEvents(self, request: pb.ReadEventsRequest) -> pb.ReadEventsResponse:
        """Read events."""
        checks = Checks()
        namespace, execution_id = _named(checks, request.namespace, request.execution_id)
        first = checks.number("first_sequence", request.first_sequence or 1, 1, _MAX_SEQUENCE)
        most = checks.number("max_events", request.max_events or PAGE_EVENTS, 1, _MAX_PAGE)
        wait_ms = _wait_ms(checks, request.wait_timeout)
        checks.done()
        page = await self._journaling.read(namespace, execution_id, first, most, wait_ms / 1000)
        return pb.ReadEventsResponse(
            events=map(events.event, page.events),
            next_sequence=page.next_sequence,
            status=status_of(page.status),
        )


def _named(checks: Checks, namespace: str, execution_id: str) -> tuple[str, str]:
    return checks.namespace(namespace), checks.name("execution_id", execution_id)


def _wait_ms(checks: Checks, wait: Duration) -> int:
    return checks.duration("wait_timeout", wait, 0, _MAX_WAIT_MS)


def _token(text: str) -> LeaseToken:
    token = LeaseToken.parse(text)
    if token is None:
        raise RemoteWorkersError(Reason.INVALID_TOKEN, "lease_token is not the token of a lease")
    return token
