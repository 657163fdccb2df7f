"""Handlers: what they may look like, what they get, what their end is reported as."""

from typing import Any

import pytest

from bloge_worker import (
    ConfigError,
    HandlerError,
    ProgressTooLarge,
    WorkContext,
    Worker,
)
from bloge_worker.handlers import make_handler
from bloge_worker.testing import run_handler


def test_input_and_context_are_told_apart_by_name_and_annotation() -> None:
    """Every order and every subset of the two parameters works."""

    def both(value: Any, ctx: Any) -> list[Any]:
        return [value, ctx.item_id]

    def swapped(context: WorkContext, value: Any) -> list[Any]:
        return [value, context.item_id]

    def only_input(value: Any) -> Any:
        return value

    def only_context(ctx: Any) -> Any:
        return ctx.input

    def neither() -> str:
        return "ran"

    def with_default(value: Any, scale: int = 2) -> Any:
        return [value, scale]

    outcomes = [run_handler(each, 7).output for each in (both, swapped, only_input, only_context, neither)]
    assert outcomes == [[7, "item-1"], [7, "item-1"], 7, 7, "ran"]
    assert run_handler(with_default, 7).output == [7, 2]


def test_a_callable_object_can_be_a_handler() -> None:
    """An instance with an async `__call__` runs on the loop, with its parameters told apart as usual."""

    class Handler:
        async def __call__(self, value: int, ctx: WorkContext) -> int:
            return value + ctx.attempt

    assert run_handler(Handler(), 1, attempt=4).output == 5
    assert make_handler(Handler(), "topic").executor == "async"


def test_a_parameter_that_nobody_fills_is_refused_at_registration() -> None:
    """The error names the parameter."""

    def handle(value: Any, ctx: WorkContext, session: Any) -> None: ...

    with pytest.raises(HandlerError, match="'session'"):
        make_handler(handle, "topic")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"executor": "async"}, "needs async def"),
        ({"executor": "fiber"}, "one of async, thread, process"),
        ({"concurrency": 0}, "at least 1"),
        ({"operator": ""}, "operator is empty"),
    ],
)
def test_a_wrong_registration_says_what_is_allowed(arguments: dict[str, Any], expected: str) -> None:
    """Each argument of the decorator is checked when it is used."""
    with pytest.raises(HandlerError, match=expected):
        Worker().handler("topic", **arguments)(lambda value: value)


def test_an_async_handler_cannot_run_in_a_process() -> None:
    """The process executor calls plain functions."""

    async def handle() -> None: ...

    with pytest.raises(HandlerError, match="needs a plain def"):
        make_handler(handle, "topic", executor="process")


def test_a_topic_name_is_checked() -> None:
    """A topic follows the rule of names."""
    with pytest.raises(ConfigError, match="no spaces"):
        make_handler(lambda: None, "no spaces")


def test_an_operator_has_one_handler() -> None:
    """A second registration is a mistake, not an override."""
    worker = Worker()
    worker.handler("topic", operator="A")(lambda: 1)
    with pytest.raises(HandlerError, match="'A'"):
        worker.handler("topic", operator="A")(lambda: 2)


def test_an_operator_is_preferred_to_any() -> None:
    """A handler without operator takes what no other takes, in its own topic."""
    worker = Worker()
    worker.handler("topic", operator="A")(lambda: "a")
    worker.handler("topic")(lambda: "any")
    worker.handler("other", operator="B")(lambda: "b")
    assert run_handler(worker, worker_topic="topic", operator_ref="A").output == "a"
    assert run_handler(worker, worker_topic="topic", operator_ref="Z").output == "any"
    assert worker.handlers.find("other", "Z") is None
    assert worker.worker_topics == ["other", "topic"]


def test_the_context_says_all_about_the_item() -> None:
    """Every fact of lease and envelope is there."""
    seen: dict[str, Any] = {}

    def handle(ctx: WorkContext) -> None:
        names = (
            "input item_id worker_topic namespace operator_ref execution_context attempt claim_count fence "
            "trace_context last_progress cancelled cancel_reason"
        )
        seen.update({name: getattr(ctx, name) for name in names.split()})
        seen["remaining"] = ctx.remaining()
        seen["token"] = ctx.lease.lease_token
        seen["extra"] = ctx.log.extra

    facts: Any = {
        "item_id": "i",
        "namespace": "n",
        "operator_ref": "Op",
        "worker_topic": "t",
        "execution_context": {"nodeId": "x"},
        "attempt": 2,
        "claim_count": 3,
        "fence": 77,
        "trace_context": {"traceparent": "00-1"},
        "last_progress": {"done": 5},
    }
    run_handler(handle, {"a": 1}, **facts)
    assert {name: seen[name] for name in facts} == facts
    assert (seen["input"], seen["cancelled"], seen["cancel_reason"], seen["remaining"]) == ({"a": 1}, False, None, None)
    assert seen["token"]
    assert seen["extra"] == {"item_id": "i", "worker_topic": "t", "fence": 77, "attempt": 2, "trace_id": "1"}


def test_the_remaining_time_counts_down_to_zero() -> None:
    """It is measured from the arrival, and never negative."""
    assert 59.0 < run_handler(lambda ctx: ctx.remaining(), remaining=60.0).output <= 60.0
    assert run_handler(lambda ctx: ctx.remaining(), remaining=0.0).output == 0.0


def test_progress_is_json_or_bytes_of_bounded_size() -> None:
    """Details are encoded where they are given, so a mistake shows in the handler."""

    def handle(ctx: WorkContext) -> None:
        ctx.progress({"done": 1})
        ctx.progress()
        ctx.progress(b"\xff")
        with pytest.raises(ProgressTooLarge):
            ctx.progress("x" * 70_000)
        with pytest.raises(TypeError):
            ctx.progress({1, 2})

    assert run_handler(handle).progress == [{"done": 1}, None, b"\xff"]
