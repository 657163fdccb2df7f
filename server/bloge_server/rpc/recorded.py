"""Actions of people on their way in: checked, recorded first, done once for each request id."""

import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from bloge.remote_workers.v1 import ops_service_pb2 as pb
from bloge_server.rpc.fields import Checks
from bloge_server.store.actions import Action, ActionLog

_ACTOR_CHARS = 256
_REASON_CHARS = 1024
_DETAIL_CHARS = 2000
_UNTOLD = ("action", "payload")
"""Fields of requests that are no part of the detail: payloads are data."""

_log = structlog.get_logger(__name__)

_Reply = TypeVar("_Reply", bound=Message)


def detail_of(request: Message) -> str:
    """Return a request as people read it in the record of actions."""
    told = MessageToDict(request)
    return json.dumps({name: value for name, value in told.items() if name not in _UNTOLD})[:_DETAIL_CHARS]


def check_action(checks: Checks, action: pb.Action) -> None:
    """Check who acts and why."""
    checks.optional_name("action.request_id", action.request_id, "")
    checks.text("action.actor", action.actor, _ACTOR_CHARS)
    checks.text("action.reason", action.reason, _REASON_CHARS)


async def recorded(
    log: ActionLog,
    verb: str,
    place: tuple[str, str],
    request: Message,
    reply_type: type[_Reply],
    act: Callable[[], Awaitable[_Reply]],
) -> _Reply:
    """Record an action, do it, keep its reply; return the kept reply if the same request was done before.

    Args:
        log: where actions are recorded.
        verb: what is done.
        place: namespace, and what it is done to.
        request: the request, checked.
        reply_type: what `act` returns.
        act: does it.

    Raises:
        RemoteWorkersError: CONTENT_DIFFERS if the request id was used for something else, or what `act` raises.
    """
    who: pb.Action = request.action  # type: ignore[attr-defined]  # every request of an act has one
    content = request.SerializeToString(deterministic=True)
    action = Action(
        namespace=place[0],
        verb=verb,
        target=place[1],
        actor=who.actor,
        reason=who.reason,
        request_id=who.request_id,
        content=content,
        detail=detail_of(request),
    )
    before = await log.begin(action)
    if before is not None:
        return reply_type.FromString(before)
    told = {"actor": who.actor, "reason": who.reason, "request_id": who.request_id}
    _log.info("action", verb=verb, namespace=place[0], target=place[1], **told)
    reply = await act()
    await log.finish(action, reply.SerializeToString())
    return reply
