"""What answers HTTP requests: the routes of every part, with one way of telling errors."""

import time
from collections.abc import Callable, Iterable
from typing import Any, cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ExceptionHandler

from bloge_server import listening
from bloge_server.http import errors
from bloge_server.http.browsers import LOOPBACK, OwnPagesOnly

MAX_BODY_BYTES = 4 * 1024 * 1024
"""As large as a gRPC request may be."""


def known_hosts(address: str, named: str) -> frozenset[str]:
    """Return by which names requests may call the server; none means by any.

    Args:
        address: where it listens.
        named: further names, parted by commas.
    """
    names = frozenset(name.strip().lower() for name in named.split(",") if name.strip())
    if address.startswith("unix:") or (not names and not listening.is_local(address)):
        return frozenset()
    return names | LOOPBACK


def build(
    routes: Iterable[BaseRoute],
    hosts: frozenset[str],
    clock: Callable[[], float] = time.time,  # noqa: TID251 - the wall clock of answers, for people
) -> Starlette:
    """Return the application.

    Args:
        routes: of every part.
        hosts: see `known_hosts`.
        clock: seconds since the epoch.
    """
    handlers = cast("dict[Any, ExceptionHandler]", errors.HANDLERS)
    middleware = [Middleware(OwnPagesOnly, hosts=hosts)]
    app = Starlette(
        routes=list(routes), middleware=middleware, exception_handlers=handlers, max_body_size=MAX_BODY_BYTES
    )
    app.state.clock = clock
    return app
