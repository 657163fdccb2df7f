"""Takes what the store heralds to whoever waits for it."""

from collections import defaultdict
from collections.abc import Callable
from enum import StrEnum

import structlog

from bloge_server.dispatch.dispatcher import Topic

_log = structlog.get_logger(__name__)


class Herald(StrEnum):
    """What scripts and servers tell: the first word of a line, with the words that follow it."""

    READY = "ready"
    """Something can be claimed."""
    DUE = "due"
    """Something falls due: delay in ms."""
    OUTCOME = "outcome"
    """There is a new outcome: reply group, the origin of the call that wrote it (-: whose does not matter)."""
    DONE = "done"
    """An item that somebody awaits has its outcome: item id."""
    STOP = "stop"
    """A worker is to stop a handler: worker id, item id, fence, reason."""
    CANCEL = "cancel"
    """The owner of an execution is to cancel it: worker id, item id, fence."""
    JOURNAL = "journal"
    """An execution whose events somebody waits for has new ones: execution id."""
    LEAVE = "leave"
    """A worker was asked to leave: worker id."""
    SESSION = "session"
    """A worker has opened a session: worker id, when in ms."""


class Heralds:
    """Who wants to hear what. Handlers are quick and never wait."""

    def __init__(self) -> None:
        self._handlers: defaultdict[str, list[Callable[..., object]]] = defaultdict(list)

    def on(self, herald: Herald, handler: Callable[..., object]) -> None:
        """Call a handler with the topic and the words of each line of this kind."""
        self._handlers[herald].append(handler)

    def tell(self, topic: Topic, lines: list[str]) -> None:
        """Take the lines of one message to their handlers; kinds of a later release have none."""
        for line in lines:
            kind, *words = line.split(" ")
            for handler in self._handlers.get(kind, ()):
                try:
                    handler(topic, *words)
                except Exception:  # noqa: BLE001 - a line that one handler cannot take must not silence all others
                    _log.exception("herald not understood", namespace=topic[0], worker_topic=topic[1], line=line)
