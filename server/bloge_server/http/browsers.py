"""Refuses what a stranger's page makes a browser send.

A server on loopback is reached by every browser on the machine, and a browser does what pages tell it. A page can call
the server under a name of the page's own that leads here ("DNS rebinding"), or send it forms ("cross-site request
forgery"). The first shows in the Host header, the second in headers that pages cannot set. Programs send neither and
are let through.
"""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bloge_server.http import errors

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of requests that our own pages make, or the person in front of the browser."""


class OwnPagesOnly:
    """Lets requests through that no stranger's page can have made.

    Args:
        app: what answers them.
        hosts: the names by which the server may be called; empty: any.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            request = Request(scope)
            name = (request.url.hostname or "").lower()
            if self._hosts and name not in self._hosts:
                message = f"this server is not called {name!r}; if it is, say so with --http-hosts"
                await errors.answer(request, 400, "VALIDATION_FAILED", message)(scope, receive, send)
                return
            if request.method not in _SAFE_METHODS and _is_foreign(request):
                message = "another site's page may not act here"
                await errors.answer(request, 403, "ACCESS_DENIED", message)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_foreign(request: Request) -> bool:
    """Return whether a browser says that a page of another site made a request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN_SITES
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
