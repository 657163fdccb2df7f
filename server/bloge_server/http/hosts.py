"""Refuses requests that a browser was tricked into sending.

A page of a stranger can make a browser on this machine call a server that listens on loopback, by a name of the
stranger's that leads there ("DNS rebinding"). The name stands in the Host header, and it is none of ours.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bloge_server.http import errors

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class KnownHosts:
    """Lets requests through that name the server as it is called.

    Args:
        app: what answers them.
        hosts: the names; empty: any.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._hosts and scope["type"] == "http":
            request = Request(scope)
            name = (request.url.hostname or "").lower()
            if name not in self._hosts:
                message = f"this server is not called {name!r}; if it is, say so with --http-hosts"
                await errors.answer(request, 400, "VALIDATION_FAILED", message)(scope, receive, send)
                return
        await self._app(scope, receive, send)
