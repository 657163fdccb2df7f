"""What a handler's child process does: take a request, run the handler, answer."""

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._leases import HeldLease, lone_lease
from bloge_worker._runs import Run, RunServices
from bloge_worker._tracing import within_run
from bloge_worker.handlers import Handler, make_handler

LOG = "log"
"""What a child sends besides reports and progress: a pickled record."""


def progress_of(held: HeldLease) -> str:
    """Return how a child marks progress of a run: a context may outlive its run, and then speaks for nobody."""
    return f"progress {held.token}"


class Request(NamedTuple):
    """One run, as it crosses to the child."""

    lease: bytes
    max_payload_bytes: int


class Duty(NamedTuple):
    """What a child is started for."""

    function: Callable[..., Any]
    worker_topic: str
    raw: bool
    log_level: int
    """The least level that the worker's process logs."""


def child_main(connection: Connection, duty: Duty) -> None:
    """Run requests until the worker is gone."""
    # A terminal, or a service manager, signals the whole group; the worker decides when its children end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    handler = make_handler(duty.function, duty.worker_topic, executor="process", raw=duty.raw)
    lock = threading.Lock()

    def send(kind: str, data: bytes) -> None:
        with lock:
            connection.send((kind, data))

    _forward_log(duty.log_level, send)
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        _serve(request, handler, send)


def _serve(request: Request, handler: Handler, send: Callable[[str, bytes], None]) -> None:
    def send_progress(held: HeldLease, details: bytes) -> None:
        send(progress_of(held), details)

    services = RunServices(time.monotonic, send_progress, lambda: request.max_payload_bytes, within_run)
    held = lone_lease(lease_pb2.Lease.FromString(request.lease), services.clock())
    report = Run(held, handler).execute_blocking(services)
    assert report is not None, "nothing cancels a run in a child: it is killed"
    send(report.DESCRIPTOR.name, report.SerializeToString())


class _LogForwarder(QueueHandler):
    """Sends records to the worker's process, whose logging is set up."""

    def __init__(self, send: Callable[[str, bytes], None]) -> None:
        super().__init__(send)  # type: ignore[arg-type]  # whatever `enqueue` takes

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record, made fit to travel."""
        self.queue(LOG, pickle.dumps(record))  # type: ignore[operator]  # see above


def _forward_log(level: int, send: Callable[[str, bytes], None]) -> None:
    """Have the worker's process log what the handler logs, unless the handler's module has set up logging itself."""
    root = logging.getLogger()
    if not root.handlers:
        root.setLevel(level)
        root.addHandler(_LogForwarder(send))


def _end_with_parent() -> None:
    """End at once if the worker dies, so that no handler runs on without a lease."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
