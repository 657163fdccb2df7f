"""Runs local operators: asynchronous ones on the event loop, the others in threads, each attempt within its timeout."""

import asyncio
import contextvars
import inspect
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from bloge_orchestrator import operators
from bloge_orchestrator.durations import format_duration
from bloge_orchestrator.execution.actions import StartLocal
from bloge_orchestrator.execution.failure import TIMED_OUT, Failure, NodeError
from bloge_orchestrator.execution.happenings import OperatorFailed, OperatorReturned
from bloge_orchestrator.execution.values import NotJsonError, encoded, plain_copy
from bloge_orchestrator.operators import Json, LocalOperator, OperatorContext
from bloge_worker import BusinessError, Reject, RetryLater

_OWN_FILES = frozenset({__file__, operators.__file__})
_TRACEBACK_LENGTH = 16 * 1024
_MESSAGE_LENGTH = 4 * 1024
_TYPE_LENGTH = 256
_DETAILS_BYTES = 64 * 1024


async def run_operator(
    operator: LocalOperator, action: StartLocal, context: OperatorContext, limit: timedelta | None
) -> OperatorReturned | OperatorFailed:
    """Make one attempt of a local node.

    A thread cannot be stopped: an operator that outlives the limit there runs on, and its output is dropped.

    Args:
        operator: What to run.
        action: The node, the attempt and the input.
        context: What the operator may know besides.
        limit: How long the attempt may take; None for as long as it likes.

    """
    seconds = None if limit is None else limit.total_seconds()
    try:
        async with asyncio.timeout(seconds) as scope:
            output = plain_copy(await _call(operator, plain_copy(action.input), context))
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
            raise
        if scope.expired() and limit is not None:
            message = f"attempt {action.attempt} took longer than {format_duration(limit)}"
            return OperatorFailed(action.node_id, action.attempt, Failure(NodeError(TIMED_OUT, message)))
        return OperatorFailed(action.node_id, action.attempt, _failure_of(error))
    return OperatorReturned(action.node_id, action.attempt, output)


def _is_being_cancelled() -> bool:
    """Tell our own cancellation from one that the operator met with inside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _call(operator: LocalOperator, node_input: Mapping[str, Json], context: OperatorContext) -> Json:
    if _is_asynchronous(operator.implementation):
        answer = operator.call(node_input, context)
    else:
        answer = await _call_in_thread(operator, node_input, context)
    return await answer if inspect.isawaitable(answer) else answer


def _is_asynchronous(implementation: Any) -> bool:  # noqa: ANN401 - any callable
    if inspect.iscoroutinefunction(implementation):
        return True
    return inspect.iscoroutinefunction(getattr(implementation, "__call__", None))  # noqa: B004 - it is inspected, not called


async def _call_in_thread(operator: LocalOperator, node_input: Mapping[str, Json], context: OperatorContext) -> Json:
    """Call in a daemon thread of its own: one that hangs keeps neither its neighbours nor the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Json] = loop.create_future()
    variables = contextvars.copy_context()

    def settle(answer: Json, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(answer)
        else:
            done.set_exception(error)

    def call() -> None:
        answer: Json = None
        problem: BaseException | None = None
        try:
            answer = variables.run(operator.call, node_input, context)
        except BaseException as error:  # noqa: BLE001 - whatever an operator raises is its failure, not the process's
            problem = error
            if isinstance(error, StopIteration) or not isinstance(error, Exception):  # a future cannot carry these
                problem = RuntimeError(f"the operator raised {error!r}")
        with suppress(RuntimeError):  # the loop may be gone
            loop.call_soon_threadsafe(settle, answer, problem)

    threading.Thread(target=call, name=f"bloge-operator-{operator.name}", daemon=True).start()
    return await done


def _failure_of(error: BaseException) -> Failure:
    match error:
        case BusinessError():
            return Failure(_business_error(error), retryable=False)
        case Reject():
            return Failure(NodeError("Rejected", error.reason[:_MESSAGE_LENGTH]), retryable=False)
        case RetryLater():
            told = NodeError("RetryLater", error.reason[:_MESSAGE_LENGTH])
            return Failure(told, retry_after_ms=round(_seconds(error.delay) * 1000))
        case NotJsonError():
            message = f"the operator's output is not plain JSON: {error}"
            return Failure(NodeError("OutputNotSerializable", message), retryable=False)
        case _:
            message = str(error)[:_MESSAGE_LENGTH]
            return Failure(NodeError(type(error).__name__, message, traceback=_traceback(error)))


def _business_error(error: BusinessError) -> NodeError:
    """Give the error as it is recorded, within the limits that a worker has too."""
    code, message = error.code[:_TYPE_LENGTH], error.message[:_MESSAGE_LENGTH]
    try:
        details = plain_copy(error.details)
    except NotJsonError as problem:
        return NodeError(code, f"{message} (details left out: not JSON: {problem})", business=True)
    size = len(encoded(details))
    if size > _DETAILS_BYTES:
        return NodeError(code, f"{message} (details left out: {size} bytes, {_DETAILS_BYTES} fit)", business=True)
    return NodeError(code, message, business=True, details=details)


def _seconds(delay: float | timedelta) -> float:
    return delay.total_seconds() if isinstance(delay, timedelta) else delay


def _traceback(error: BaseException) -> str:
    """Give the traceback from the operator on, cut at the front."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))[-_TRACEBACK_LENGTH:]
