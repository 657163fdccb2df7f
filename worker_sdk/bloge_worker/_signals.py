"""SIGTERM and SIGINT: the first drains, a second one stops at once."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def drain_on_signals(*, first: Callable[[], object], then: Callable[[], object]) -> Iterator[None]:
    """Call `first` on the first signal and `then` on the next ones, while the block runs.

    Only the main thread can handle signals; elsewhere, and on loops that cannot, the block runs without.
    """
    calls = iter([first])
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle() -> None:
        next(calls, then)()

    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, handle)
    except NotImplementedError:  # the event loops of Windows
        yield
        return
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, previous[number])
