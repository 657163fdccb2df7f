"""One run of a handler without a server."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, Unpack

from bloge.remote_workers.v1 import lease_pb2, work_item_pb2
from bloge_worker._durations import duration_of, seconds_of
from bloge_worker._leases import HeldLease, lone_lease
from bloge_worker._payload import decoded_json, encode_json, envelope
from bloge_worker._runs import Run, RunServices
from bloge_worker.errors import HandlerError
from bloge_worker.handlers import Handler, make_handler
from bloge_worker.outcomes import Report
from bloge_worker.worker import Worker


class ContextOverrides(TypedDict, total=False):
    """What the handler's context is to say; each has a default."""

    worker_topic: str
    operator_ref: str
    namespace: str
    item_id: str
    attempt: int
    claim_count: int
    fence: int
    execution_context: dict[str, Any]
    trace_context: dict[str, str]
    last_progress: Any
    remaining: float
    """Seconds to the suspend deadline."""
    max_payload_bytes: int


@dataclass(frozen=True, slots=True)
class HandlerOutcome:
    """What the server would be told. Only the fields of its kind are set."""

    kind: Literal["completed", "failed", "business_error", "released"]
    output: Any = None
    """completed: the output, once through JSON; bytes if it is not JSON."""
    error_type: str = ""
    """failed: the type that retry policies match."""
    message: str = ""
    """failed, business_error."""
    traceback: str = ""
    """failed."""
    non_retryable: bool = False
    """failed: true if it makes a dead letter."""
    code: str = ""
    """business_error."""
    details: Any = None
    """business_error."""
    delay: float | None = None
    """failed by RetryLater, released: seconds until the item is due."""
    reason: str = ""
    """released."""
    cancelled: bool = False
    """completed with `GraphCancelled`."""
    progress: list[Any] = field(default_factory=list)
    """All that was passed to `progress`, in order."""


def run_handler(
    target: Worker | Callable[..., Any],
    input: Any = None,  # noqa: A002, ANN401 - the handler's own word; any JSON value
    **overrides: Unpack[ContextOverrides],
) -> HandlerOutcome:
    """Run a handler once and return its outcome. It runs on this thread, whatever its executor.

    Args:
        target: a worker, which finds the handler by topic and operator; or a function.
        input: JSON-able; for a `raw` handler the payload's bytes.
        overrides: what the context says.

    Raises:
        HandlerError: the worker has no such handler, or the function cannot be one.
        RuntimeError: an `async` handler, called while an event loop runs; await `run_handler_async` there.
    """
    trial = _Trial(target, input, overrides)
    if trial.handler.executor == "async":
        return trial.outcome(asyncio.run(trial.run.execute(trial.services)))
    return trial.outcome(trial.run.execute_blocking(trial.services))


async def run_handler_async(
    target: Worker | Callable[..., Any],
    input: Any = None,  # noqa: A002, ANN401 - the handler's own word; any JSON value
    **overrides: Unpack[ContextOverrides],
) -> HandlerOutcome:
    """Like `run_handler`, on the running event loop."""
    trial = _Trial(target, input, overrides)
    if trial.handler.executor == "async":
        return trial.outcome(await trial.run.execute(trial.services))
    return trial.outcome(await asyncio.to_thread(trial.run.execute_blocking, trial.services))


class _Trial:
    def __init__(self, target: Worker | Callable[..., Any], value: object, overrides: ContextOverrides) -> None:
        self.handler = _handler_of(target, overrides)
        self.services = RunServices(
            time.monotonic, self._keep_progress, lambda: overrides.get("max_payload_bytes", 1024 * 1024)
        )
        lease = _lease(self.handler, value, overrides)
        self.run = Run(lone_lease(lease, self.services.clock()), self.handler)
        self._progress: list[Any] = []

    def outcome(self, report: Report | None) -> HandlerOutcome:
        assert report is not None, "nothing cancels a trial"
        progress = self._progress
        match report:
            case lease_pb2.CompleteReport():
                return HandlerOutcome(
                    "completed", output=decoded_json(report.output), cancelled=report.cancelled, progress=progress
                )
            case lease_pb2.ReleaseReport():
                return HandlerOutcome(
                    "released", delay=seconds_of(report.delay), reason=report.reason, progress=progress
                )
            case _:
                return _failed(report, progress)

    def _keep_progress(self, _: HeldLease, details: bytes) -> None:
        self._progress.append(decoded_json(details))


def _failed(report: lease_pb2.FailReport, progress: list[Any]) -> HandlerOutcome:
    if report.HasField("business_error"):
        error = report.business_error
        return HandlerOutcome(
            "business_error",
            code=error.code,
            message=error.message,
            details=decoded_json(error.details),
            progress=progress,
        )
    failure = report.failure
    return HandlerOutcome(
        "failed",
        error_type=failure.type,
        message=failure.message,
        traceback=failure.traceback,
        non_retryable=failure.non_retryable,
        delay=seconds_of(failure.retry_after) if failure.HasField("retry_after") else None,
        progress=progress,
    )


def _handler_of(target: Worker | Callable[..., Any], overrides: ContextOverrides) -> Handler:
    if not isinstance(target, Worker):
        return make_handler(target, overrides.get("worker_topic", "test"))
    topic = overrides.get("worker_topic") or next(iter(target.worker_topics), "")
    operator = overrides.get("operator_ref", "")
    handler = target.handlers.find(topic, operator)
    if handler is None:
        raise HandlerError(f"the worker has no handler for topic {topic!r}, operator {operator or 'any'!r}")
    return handler


def _lease(handler: Handler, value: object, overrides: ContextOverrides) -> lease_pb2.Lease:
    topic, operator = handler.worker_topic, overrides.get("operator_ref") or handler.operator or "TestOperator"
    spec = work_item_pb2.WorkItemSpec(
        item_id=overrides.get("item_id", "item-1"),
        worker_topic=topic,
        operator_ref=operator,
        payload=value
        if handler.raw and isinstance(value, bytes)
        else envelope(topic, operator, value, overrides.get("execution_context", {})),
        trace_context=work_item_pb2.TraceContext(**overrides.get("trace_context", {})),
    )
    lease = lease_pb2.Lease(
        lease_token="test-lease",
        spec=spec,
        attempt=overrides.get("attempt", 1),
        claim_count=overrides.get("claim_count", 1),
        fence=overrides.get("fence", 1),
        namespace=overrides.get("namespace", "default"),
        progress=encode_json(overrides["last_progress"]) if "last_progress" in overrides else b"",
    )
    if "remaining" in overrides:
        lease.time_remaining.CopyFrom(duration_of(overrides["remaining"]))
    return lease
