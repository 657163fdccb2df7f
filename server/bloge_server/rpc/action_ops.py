"""The part of `OpsService` that tells what people did."""

from google.protobuf.message import Message

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.rpc import items
from bloge_server.rpc.boundary import unary
from bloge_server.rpc.fields import Checks
from bloge_server.rpc.page_tokens import from_token, no_token, to_token
from bloge_server.rpc.recorded import check_action, detail_of
from bloge_server.store.actions import Action, ActionLog, RecordedAction
from bloge_server.store.events import EventId
from bloge_server.store.redis_store import RedisStore

_PAGE = 50
_MAX_PAGE = 1000


class ActionOps:
    """The record of actions, for people.

    Args:
        store: where it is kept.
    """

    def __init__(self, store: RedisStore) -> None:
        self._log = ActionLog(store)

    @unary
    async def ListActions(self, request: pb.ListActionsRequest) -> pb.ListActionsResponse:
        """List what people did, latest first."""
        checks = Checks()
        namespace = checks.namespace(request.namespace)
        size = checks.number("page_size", request.page_size or _PAGE, 1, _MAX_PAGE)
        checks.done()
        found = await self._log.latest(namespace, _before(request.page_token), size)
        token = to_token(str(found[-1].event_id)) if len(found) == size else ""
        return pb.ListActionsResponse(actions=map(_action, found), next_page_token=token)

    async def record_action(self, place: tuple[str, str], verb: str, action: pb.Action, request: Message) -> None:
        """Record what a person is about to do by a call that records nothing itself. Only in this process.

        Args:
            place: namespace, and what it is done to.
            verb: the call.
            action: who does it, and why.
            request: the call's request.

        Raises:
            RemoteWorkersError: INVALID_FIELD, or the store cannot be reached.
        """
        checks = Checks()
        namespace = checks.namespace(place[0])
        check_action(checks, action)
        checks.done()
        told = detail_of(request)
        await self._log.begin(Action(namespace, verb, place[1], action.actor, action.reason, "", b"", told))


def _before(token: str) -> EventId | None:
    if not token:
        return None
    try:
        return EventId.parse(from_token(token))
    except ValueError as error:
        raise no_token() from error


def _action(recorded: RecordedAction) -> pb.RecordedAction:
    return pb.RecordedAction(
        action_time=items.timestamp(recorded.event_id.ms),
        verb=recorded.verb,
        target=recorded.target,
        action=pb.Action(request_id=recorded.request_id, actor=recorded.actor, reason=recorded.reason),
        detail=recorded.detail,
    )
