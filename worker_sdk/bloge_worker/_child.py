"""What a handler's child process does: take a request, run the handler, answer."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._leases import HeldLease, lone_lease
from bloge_worker._runs import Run, RunServices
from bloge_worker.handlers import Handler, make_handler


class Request(NamedTuple):
    """One run, as it crosses to the child."""

    lease: bytes
    max_payload_bytes: int


def child_main(connection: Connection, function: Callable[..., Any], worker_topic: str, raw: bool) -> None:  # noqa: FBT001 - crosses as a positional argument
    """Run requests until the worker is gone."""
    # A terminal, or a service manager, signals the whole group; the worker decides when its children end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    handler = make_handler(function, worker_topic, executor="process", raw=raw)
    lock = threading.Lock()

    def send(kind: str, data: bytes) -> None:
        with lock:
            connection.send((kind, data))

    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        _serve(request, handler, send)


def _serve(request: Request, handler: Handler, send: Callable[[str, bytes], None]) -> None:
    def send_progress(_: HeldLease, details: bytes) -> None:
        send("progress", details)

    services = RunServices(time.monotonic, send_progress, lambda: request.max_payload_bytes)
    held = lone_lease(lease_pb2.Lease.FromString(request.lease), services.clock())
    report = Run(held, handler).execute_blocking(services)
    assert report is not None, "nothing cancels a run in a child: it is killed"
    send(report.DESCRIPTOR.name, report.SerializeToString())


def _end_with_parent() -> None:
    """End at once if the worker dies, so that no handler runs on without a lease."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
