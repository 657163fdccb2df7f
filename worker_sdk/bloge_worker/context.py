"""What a handler learns about its work item, and what it can say while it works."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, MutableMapping
from math import inf
from typing import Any

from bloge.remote_workers.tracing import trace_id_of
from bloge.remote_workers.v1 import lease_pb2
from bloge_worker._payload import Payload, encode_json
from bloge_worker.errors import ProgressTooLarge

MAX_PROGRESS_BYTES = 64 * 1024
_HANDLER_LOGGER = logging.getLogger("bloge_worker.handler")

# One lock for all runs: it is held for a few instructions, and only when somebody waits or something is cancelled.
_cancellation_lock = threading.Lock()


class Cancellation:
    """Tells one run, on whatever thread it is, that its lease is over, or that its execution is to be cancelled."""

    __slots__ = ("_callbacks", "_event", "_on_asked", "asked", "reason")

    def __init__(self) -> None:
        self.reason: str | None = None
        self.asked = False
        self._callbacks: list[Callable[[], object]] = []
        self._on_asked: list[Callable[[], object]] = []
        self._event: threading.Event | None = None

    def ask(self) -> None:
        """Ask the run to cancel its execution; its lease goes on."""
        with _cancellation_lock:
            self.asked = True
            callbacks, self._on_asked = self._on_asked, []
        for callback in callbacks:
            callback()

    def on_asked(self, callback: Callable[[], object]) -> None:
        """Call `callback` once the run is asked to cancel its execution; at once if it was already."""
        with _cancellation_lock:
            if not self.asked:
                self._on_asked.append(callback)
                return
        callback()

    def cancel(self, reason: str) -> None:
        """Cancel the run. Only the first reason counts."""
        with _cancellation_lock:
            if self.reason is not None:
                return
            self.reason = reason
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Call `callback` once the run is cancelled, on the cancelling thread; at once if it is already."""
        with _cancellation_lock:
            if self.reason is None:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, timeout: float | None) -> bool:
        """Block until the run is cancelled or `timeout` seconds have passed; return whether it is."""
        if self._event is None:
            self._event = threading.Event()
            self.on_cancel(self._event.set)
        return self._event.wait(timeout)


class WorkContext:
    """One run of one work item: what it is, and the line to the server.

    Take it as a parameter named `ctx`, or one annotated with this class. Every method may be called from any thread.
    """

    __slots__ = ("_cancellation", "_clock", "_deadline", "_lease", "_log", "_payload", "_send_progress")

    def __init__(
        self,
        lease: lease_pb2.Lease,
        payload: Payload,
        cancellation: Cancellation,
        send_progress: Callable[[bytes], object],
        clock: Callable[[], float],
        deadline: float,
    ) -> None:
        self._lease = lease
        self._payload = payload
        self._cancellation = cancellation
        self._send_progress = send_progress
        self._clock = clock
        self._deadline = deadline
        self._log: logging.LoggerAdapter[logging.Logger] | None = None

    @property
    def input(self) -> Any:  # noqa: ANN401 - any JSON value
        """The node's input: decoded JSON, or the payload's bytes (a `raw` handler, or a payload that is not JSON)."""
        return self._payload.input

    @property
    def execution_context(self) -> dict[str, Any]:
        """Where in which execution this node stands, as the orchestrator tells it; empty for other producers."""
        return dict(self._payload.execution_context)

    @property
    def operator_ref(self) -> str:
        """The business operator; empty if the producer named none."""
        return self._lease.spec.operator_ref or self._payload.operator_ref

    @property
    def item_id(self) -> str:
        """The item's id, unique within its topic."""
        return self._lease.spec.item_id

    @property
    def worker_topic(self) -> str:
        """The topic that the item came through."""
        return self._lease.spec.worker_topic

    @property
    def namespace(self) -> str:
        """The item's namespace."""
        return self._lease.namespace

    @property
    def attempt(self) -> int:
        """Number of the attempt, from 1; a run after a lost lease or a release repeats its number."""
        return self._lease.attempt

    @property
    def claim_count(self) -> int:
        """How often the item was delivered, this time included."""
        return self._lease.claim_count

    @property
    def fence(self) -> int:
        """Larger than that of any earlier claim of this item; pass it to systems that can refuse a smaller one."""
        return self._lease.fence

    @property
    def lease(self) -> lease_pb2.Lease:
        """The lease as it arrived, its secret token included. For callers of other services of the server."""
        return self._lease

    @property
    def trace_context(self) -> dict[str, str]:
        """The W3C trace context's headers, for example `{"traceparent": "00-..."}`; empty if there is none."""
        trace = self._lease.spec.trace_context
        pairs = {"traceparent": trace.traceparent, "tracestate": trace.tracestate}
        return {name: value for name, value in pairs.items() if value}

    @property
    def last_progress(self) -> Any:  # noqa: ANN401 - any JSON value
        """What an earlier run of the item last passed to `progress`: decoded JSON, else bytes; None if nothing."""
        details = self._lease.progress
        if not details:
            return None
        try:
            return json.loads(details)
        except ValueError:
            return details

    def remaining(self) -> float | None:
        """Return the seconds left until the suspend deadline, at least 0; None if there is none.

        After it the orchestrator goes on without this item, whatever is returned.
        """
        return None if self._deadline == inf else max(0.0, self._deadline - self._clock())

    @property
    def cancelled(self) -> bool:
        """True once the run is to stop: raise something, for example with `raise_if_cancelled`.

        Do not return half of the work: what is returned is taken for the whole output, and counts if nobody has taken
        over by then.

        An `async` handler is cancelled besides, and a process is killed; a thread must look here or wait.
        """
        return self._cancellation.reason is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why: `CANCELLED`, `SUPERSEDED`, `LEASE_EXPIRED`, `DEADLINE_PASSED`, `DRAINING`, ...; None while it runs."""
        return self._cancellation.reason

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Block until the run is cancelled or `timeout` seconds have passed; return whether it is. For threads."""
        return self._cancellation.wait(timeout)

    def raise_if_cancelled(self, wait: float = 0.0) -> None:
        """Leave the handler if the run is cancelled. For threads; call it now and then, or instead of `time.sleep`.

        Args:
            wait: seconds to wait for the cancellation first.

        Raises:
            asyncio.CancelledError: the run is cancelled. It passes `except Exception`; let it out of the handler.
        """
        if self.cancelled or (wait and self.wait_cancelled(wait)):
            raise asyncio.CancelledError(self.cancel_reason)

    async def until_cancelled(self) -> None:
        """Return once the run is cancelled. For `async` code that the cancellation does not reach by itself."""
        loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        self._cancellation.on_cancel(lambda: loop.call_soon_threadsafe(_resolve, future))
        await future

    @property
    def cancel_requested(self) -> bool:
        """True once the execution is to be cancelled (an EXECUTE_GRAPH item). Its lease goes on.

        Record it, cancel the open items, and return `GraphCancelled`.
        """
        return self._cancellation.asked

    async def until_cancel_requested(self) -> None:
        """Return once the execution is to be cancelled."""
        loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
        self._cancellation.on_asked(lambda: loop.call_soon_threadsafe(_resolve, future))
        await future

    def progress(self, details: Any = None) -> None:  # noqa: ANN401 - any JSON value
        """Report progress: it extends the lease and resets the count of lost leases.

        Call it as often as you like: only the newest details are sent, one message at a time.

        Args:
            details: JSON-able, or bytes; up to 64 KiB. The next attempt finds it in `last_progress`.

        Raises:
            ProgressTooLarge: the details are larger.
            TypeError: they are not JSON-able.
            ValueError: they hold NaN or an infinity, which JSON does not know.
        """
        encoded = b"" if details is None else details if isinstance(details, bytes) else encode_json(details)
        if len(encoded) > MAX_PROGRESS_BYTES:
            raise ProgressTooLarge(f"progress details: {len(encoded)} bytes; at most {MAX_PROGRESS_BYTES}")
        self._send_progress(encoded)

    @property
    def log(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose records carry item_id, worker_topic, fence, attempt, and execution_id, trace_id if known."""
        if self._log is None:
            self._log = item_logger(self._lease, _HANDLER_LOGGER)
        return self._log


def item_logger(lease: lease_pb2.Lease, logger: logging.Logger) -> "logging.LoggerAdapter[logging.Logger]":
    """Return a logger whose records carry an item's facts."""
    facts = {
        "item_id": lease.spec.item_id,
        "worker_topic": lease.spec.worker_topic,
        "fence": lease.fence,
        "attempt": lease.attempt,
    }
    by_whom = {"execution_id": lease.spec.execution_id, "trace_id": trace_id_of(lease.spec.trace_context)}
    return _ItemLogger(logger, {**facts, **{name: value for name, value in by_whom.items() if value}})


class _ItemLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """Add the item's facts to the record, and its name to the text."""
        facts = dict(self.extra or {})
        kwargs["extra"] = {**facts, **(kwargs.get("extra") or {})}
        return f"[{facts['worker_topic']}/{facts['item_id']}] {msg}", kwargs


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
