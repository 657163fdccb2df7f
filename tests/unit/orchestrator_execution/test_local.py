"""Attempts of local nodes."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bloge_orchestrator import ExecutionContext, OperatorContext, OperatorRegistry
from bloge_orchestrator.execution.actions import StartLocal
from bloge_orchestrator.execution.failure import Failure, NodeError
from bloge_orchestrator.execution.happenings import OperatorFailed, OperatorReturned
from bloge_orchestrator.execution.local import run_operator
from bloge_worker import BusinessError, Reject, RetryLater

CONTEXT = OperatorContext(ExecutionContext("g", "e-1", "n"), 2)
SHORT = timedelta(milliseconds=1)


async def attempt(
    implementation: Callable[..., Any], node_input: Any = None, limit: timedelta | None = None
) -> OperatorReturned | OperatorFailed:
    """Make one attempt with an implementation."""
    operator = OperatorRegistry().register("Op", implementation)
    return await run_operator(operator, StartLocal("n", 2, node_input or {}), CONTEXT, limit)


async def failure(implementation: Callable[..., Any], limit: timedelta | None = None) -> Failure:
    """Make one attempt that fails."""
    answer = await attempt(implementation, limit=limit)
    assert isinstance(answer, OperatorFailed)
    assert (answer.node_id, answer.attempt) == ("n", 2)
    return answer.failure


async def test_a_synchronous_operator_runs_in_a_thread_of_its_own() -> None:
    """The event loop is free meanwhile, and context variables are carried over."""
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    answer = await attempt(lambda _: [threading.current_thread() is threading.main_thread(), variable.get()])
    assert answer == OperatorReturned("n", 2, [False, "set"])


async def test_an_asynchronous_operator_runs_on_the_loop() -> None:
    """Also one that is an object with an asynchronous `__call__`, or a function that returns a coroutine."""

    async def operator(_: Any) -> bool:
        return threading.current_thread() is threading.main_thread()

    class Callee:
        async def __call__(self, node_input: Any) -> bool:
            return await operator(node_input)

    def plain(node_input: Any) -> Any:
        return operator(node_input)

    for implementation in (operator, Callee(), plain):
        assert await attempt(implementation) == OperatorReturned("n", 2, output=True)


async def test_an_operator_learns_its_context() -> None:
    """If it takes one."""
    answer = await attempt(lambda _, context: [context.attempt, context.execution.execution_id])
    assert answer == OperatorReturned("n", 2, [2, "e-1"])


async def test_an_operator_cannot_change_what_others_see() -> None:
    """Neither its input, nor its output once it has returned it."""
    shared: dict[str, Any] = {"items": [1]}
    kept: list[list[int]] = []

    def operator(node_input: dict[str, Any]) -> list[int]:
        node_input["items"].append(2)
        kept.append(node_input["items"])
        return kept[0]

    answer = await attempt(operator, shared)
    kept[0].append(3)
    assert shared == {"items": [1]}
    assert answer == OperatorReturned("n", 2, [1, 2])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BusinessError("C", "m", {"a": 1}), Failure(NodeError("C", "m", True, {"a": 1}), retryable=False)),  # noqa: FBT003 - the third member of an error
        (Reject("bad"), Failure(NodeError("Rejected", "bad"), retryable=False)),
        (RetryLater(1.5, "busy"), Failure(NodeError("RetryLater", "busy"), retry_after_ms=1500)),
        (RetryLater(timedelta(seconds=2)), Failure(NodeError("RetryLater", ""), retry_after_ms=2000)),
    ],
)
async def test_an_operator_may_raise_what_a_handler_may(error: Exception, expected: Failure) -> None:
    """The same words mean the same here and at a worker."""

    def operator(_: Any) -> None:
        raise error

    assert await failure(operator) == expected


@pytest.mark.parametrize(
    "error", [ValueError("no"), StopIteration(3), SystemExit(1), KeyboardInterrupt(), TimeoutError("mine")]
)
async def test_whatever_a_thread_raises_is_a_failure(error: BaseException) -> None:
    """Even what would end the process."""

    def operator(_: Any) -> None:
        raise error

    failed = await failure(operator, limit=timedelta(minutes=1))
    assert failed.retryable
    assert type(error).__name__ in f"{failed.error}"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), asyncio.CancelledError("inside")])
async def test_what_a_coroutine_raises_is_a_failure(error: BaseException) -> None:
    """A cancellation that it met with inside is not ours."""

    async def operator(_: Any) -> None:
        raise error

    failed = await failure(operator)
    assert failed.error.type == type(error).__name__
    assert "in operator" in failed.error.traceback


async def test_a_slow_coroutine_is_cancelled_at_its_timeout() -> None:
    """And told so, like any cancelled coroutine."""
    told = asyncio.Event()

    async def operator(_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            told.set()

    failed = await failure(operator, limit=SHORT)
    assert failed.error == NodeError("TimeoutError", "attempt 2 took longer than 1ms")
    assert told.is_set()


async def test_a_slow_thread_is_given_up_at_its_timeout() -> None:
    """What it does afterwards disturbs nobody."""
    release, ended = threading.Event(), threading.Event()

    def operator(_: Any) -> None:
        release.wait()
        ended.set()

    failed = await failure(operator, limit=SHORT)
    assert failed.error.type == "TimeoutError"
    release.set()
    assert await asyncio.to_thread(ended.wait, 10)


async def test_our_own_cancellation_is_not_a_failure() -> None:
    """The execution ends; the attempt with it."""
    started = asyncio.Event()

    async def operator(_: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(attempt(operator))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("output", [object(), {1, 2}, float("nan"), b"bytes"])
async def test_an_output_that_is_not_json_is_a_failure(output: Any) -> None:
    """It could not be recorded."""
    assert (await failure(lambda _: output)).error.type == "OutputNotSerializable"


async def test_a_business_error_with_details_that_are_not_json_keeps_its_code() -> None:
    """Only the details are left out, and the message says so."""

    def operator(_: Any) -> None:
        raise BusinessError("C", "m", sys.stdout)

    error = (await failure(operator)).error
    assert (error.type, error.business, error.details) == ("C", True, None)
    assert "details left out" in error.message
