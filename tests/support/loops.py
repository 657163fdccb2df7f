"""An event loop in a thread, for tests that speak in blocking calls."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

from support.proxy import Proxy, Target

_PATIENCE = 30.0

_T = TypeVar("_T")


class LoopThread:
    """Runs coroutines and calls on a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what still runs, and end."""
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    def call(self, function: Callable[..., _T], *args: Any, **named: Any) -> _T:
        """Call a function on the loop's thread."""

        async def called() -> _T:
            return function(*args, **named)

        return self.run(called())


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class ProxyInThread:
    """A proxy that blocking code can handle.

    Args:
        loop: where it runs.
        proxy: started.
    """

    def __init__(self, loop: LoopThread, proxy: Proxy) -> None:
        self._loop = loop
        self.proxy = proxy
        self.address = proxy.address

    def sever(self) -> None:
        """Cut every connection."""
        self._loop.call(self.proxy.sever)

    def swallow(self, *, up: bool = True, down: bool = True) -> None:
        """Let bytes vanish in some directions."""
        self.proxy.up.swallowing, self.proxy.down.swallowing = up, down

    def heal(self) -> None:
        """Let everything pass again; connections that lost bytes are cut, for they can never go on."""
        self.swallow(up=False, down=False)
        self.proxy.slow_down(0.0)
        self._loop.call(self.proxy.sever_damaged)

    def close_way(self, *, up: bool) -> None:
        """End one direction of every connection in good order."""
        self._loop.call(self.proxy.close_way, self.proxy.up if up else self.proxy.down)


@contextmanager
def running_proxy(*addresses: str) -> Iterator[ProxyInThread]:
    """Yield a proxy before servers, given as `host:port`."""
    targets: list[Target] = [(host, int(port)) for host, _, port in (each.rpartition(":") for each in addresses)]
    with LoopThread() as loop:
        proxy = Proxy(*targets)
        loop.run(proxy.start())
        try:
            yield ProxyInThread(loop, proxy)
        finally:
            loop.run(proxy.stop())
