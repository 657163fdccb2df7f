"""Server-sent events: a response that goes on, with a place in each message from which a browser comes back by itself.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import structlog
from starlette.responses import StreamingResponse

from bloge.remote_workers.errors import RemoteWorkersError

LAST_EVENT_ID = "Last-Event-ID"
_QUIET_SECONDS = 10.0
"""So long a stream may say nothing, before whoever stands between gives it up."""

_log = structlog.get_logger(__name__)


class Message(NamedTuple):
    """One message."""

    place: str
    """Where the browser goes on after it."""
    data: Any
    """JSON; None: only the place is news, and it is told now and then."""


def response(messages: AsyncIterator[Message], clock: Callable[[], float] = time.monotonic) -> StreamingResponse:
    """Return a response of messages, until they end or the browser leaves.

    Args:
        messages: what to send.
        clock: monotonic seconds.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_written(messages, clock), media_type="text/event-stream", headers=headers)


async def _written(messages: AsyncIterator[Message], clock: Callable[[], float]) -> AsyncIterator[str]:
    said_at = clock()
    yield "retry: 1000\n\n"
    try:
        async for place, data in messages:
            if data is None and clock() < said_at + _QUIET_SECONDS:
                continue
            said_at = clock()
            # A message without data moves the place and is not shown to the page.
            yield f"id: {place}\n\n" if data is None else f"id: {place}\ndata: {json.dumps(data)}\n\n"
    except RemoteWorkersError as error:
        _log.warning("a live view was broken off; it comes back by itself", error=str(error))
