"""The part of `OpsService` that is about workers: who is here, and who should leave."""

from google.protobuf.timestamp_pb2 import Timestamp

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.page_tokens import from_token, to_token
from bloge_server.rpc.recorded import check_action, recorded
from bloge_server.store.actions import ActionLog
from bloge_server.store.redis_store import RedisStore
from bloge_server.store.workers import ListedWorker, WorkerList

_PAGE = 100
_MAX_PAGE = 1000


class WorkerOps:
    """Workers of a store, for people.

    Args:
        store: where they are listed.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._workers = WorkerList(store)

    @unary
    async def ListWorkers(self, request: pb.ListWorkersRequest) -> pb.ListWorkersResponse:
        """List the workers that were seen lately, by id."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        topic = checks.optional_name("worker_topic", request.worker_topic, "")
        size = checks.number("page_size", request.page_size or _PAGE, 1, _MAX_PAGE)
        checks.done()
        after = from_token(request.page_token)
        rest = [each for each in await self._workers.ids(namespace) if each > after]
        response = pb.ListWorkersResponse()
        while rest and len(response.workers) < size:
            part, rest = rest[:size], rest[size:]
            found = await self._workers.read(namespace, part)
            wanted = [worker for worker in found if not topic or topic in worker.card.worker_topics]
            room = size - len(response.workers)
            response.workers.extend(map(_info, wanted[:room]))
            if len(wanted) > room or (len(wanted) == room and rest):
                response.next_page_token = to_token(response.workers[-1].worker_id)
        return response

    @unary
    async def GetWorker(self, request: pb.GetWorkerRequest) -> pb.GetWorkerResponse:
        """Read one worker that was seen lately."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        worker_id = checks.name("worker_id", request.worker_id)
        checks.done()
        for found in await self._workers.read(namespace, [worker_id]):
            return pb.GetWorkerResponse(worker=_info(found))
        raise _not_seen(worker_id)

    @unary
    async def DrainWorker(self, request: pb.DrainWorkerRequest) -> pb.DrainWorkerResponse:
        """Ask a worker to leave."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        worker_id = checks.name("worker_id", request.worker_id)
        check_action(checks, request.action)
        checks.done()

        async def act() -> pb.DrainWorkerResponse:
            if not await self._workers.ask_to_leave(namespace, worker_id):
                raise _not_seen(worker_id)
            return pb.DrainWorkerResponse()

        log = ActionLog(self._store)
        return await recorded(log, "DrainWorker", (namespace, worker_id), request, pb.DrainWorkerResponse, act)


def _not_seen(worker_id: str) -> RemoteWorkersError:
    return RemoteWorkersError(Reason.NOT_FOUND, f"no worker {worker_id!r} was seen within the last hour")


def _info(worker: ListedWorker) -> pb.WorkerInfo:
    card = worker.card
    seen = Timestamp()
    seen.FromMilliseconds(worker.last_seen_ms)
    return pb.WorkerInfo(
        worker_id=card.worker_id,
        worker_topics=card.worker_topics,
        slots=card.slots,
        held_leases=card.held,
        sdk=card.sdk,
        last_seen_time=seen,
        draining=card.draining or worker.asked_to_leave,
        credits=card.credits,
    )
