"""Handlers: what they may look like, what they get, what their end is reported as."""

import dataclasses
import math
from datetime import timedelta
from typing import Any, NotRequired, TypedDict

import pydantic
import pytest

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker import (
    BusinessError,
    ConfigError,
    GraphCancelled,
    HandlerError,
    ProgressTooLarge,
    Reject,
    Release,
    RetryLater,
    WorkContext,
    Worker,
)
from bloge_worker._payload import decode_payload
from bloge_worker.handlers import make_handler
from bloge_worker.outcomes import report_error, report_output
from bloge_worker.testing import HandlerOutcome, run_handler, run_handler_async


@dataclasses.dataclass
class Size:
    width: int
    height: int = 1


@dataclasses.dataclass
class Picture:
    name: str
    size: Size
    frames: list[Size] = dataclasses.field(default_factory=list)
    parent: "Picture | None" = None


class Order(TypedDict):
    sku: str
    size: Size
    note: NotRequired[str]


class Invoice(pydantic.BaseModel):
    number: int


def raising(error: BaseException) -> HandlerOutcome:
    """Run a handler that raises."""

    def handle() -> None:
        raise error

    return run_handler(handle)


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


def test_dataclasses_are_built_with_their_members() -> None:
    """Nested classes, lists, optionals and self-references are built; unknown members are passed over."""
    seen: list[Picture] = []

    def handle(picture: Picture) -> None:
        seen.append(picture)

    value = {
        "name": "p",
        "size": {"width": 2, "depth": 9},
        "frames": [{"width": 1}],
        "parent": {"name": "q", "size": {"width": 1}},
    }
    assert run_handler(handle, value).kind == "completed"
    assert seen == [Picture("p", Size(2), [Size(1)], Picture("q", Size(1)))]


def test_typed_dicts_are_checked_for_required_keys() -> None:
    """A missing key fails for good; members of known types are built."""
    seen: list[Order] = []

    def handle(order: Order) -> None:
        seen.append(order)

    assert run_handler(handle, {"sku": "s", "size": {"width": 1}}).kind == "completed"
    assert seen == [{"sku": "s", "size": Size(1)}]
    outcome = run_handler(handle, {"size": {"width": 1}})
    assert (outcome.error_type, outcome.non_retryable) == ("InvalidInput", True)
    assert "sku" in outcome.message


def test_pydantic_models_validate() -> None:
    """A class with `model_validate` is used without the SDK knowing pydantic, for input and output."""

    def handle(invoice: Invoice) -> Invoice:
        return Invoice(number=invoice.number + 1)

    assert run_handler(handle, {"number": "41"}).output == {"number": 42}
    assert run_handler(handle, {"number": "x"}).error_type == "InvalidInput"


@pytest.mark.parametrize("value", [None, 5, {"width": 1, "height": 2, "name": 1}, [{"width": 1}]])
def test_an_input_that_does_not_fit_fails_for_good(value: Any) -> None:
    """No retry mends a wrong input, so it becomes a dead letter that says what is wrong."""

    def handle(picture: Picture) -> None:
        raise AssertionError

    outcome = run_handler(handle, value)
    assert (outcome.kind, outcome.error_type, outcome.non_retryable) == ("failed", "InvalidInput", True)
    assert outcome.message


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
    assert seen["extra"] == {"item_id": "i", "worker_topic": "t", "fence": 77, "attempt": 2}


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


@pytest.mark.parametrize("output", [None, True, 0, "é", [1, {"a": None}], {"nested": {"x": 1.5}}])
def test_json_able_outputs_complete(output: Any) -> None:
    """Any JSON value is an output."""
    assert run_handler(lambda: output) == HandlerOutcome("completed", output=output)


def test_outputs_are_compact_utf_8() -> None:
    """No blanks, no escapes."""
    report = lease_pb2.CompleteReport(lease_token="t", output='{"a":["é"]}'.encode())
    assert report_output("t", {"a": ["é"]}, raw=False, limit=100) == report


@pytest.mark.parametrize("output", [{1, 2}, object(), b"bytes", math.nan, math.inf, "\ud800", {"a": {("t",): 1}}])
def test_other_outputs_fail_for_good(output: Any) -> None:
    """What JSON does not know is a mistake in the handler that no retry mends."""
    outcome = run_handler(lambda: output)
    assert (outcome.kind, outcome.error_type, outcome.non_retryable) == ("failed", "OutputNotSerializable", True)


def test_an_output_over_the_limit_fails_for_good() -> None:
    """The limit is exact, and the message says both sizes."""
    assert run_handler(lambda: "x" * 98, max_payload_bytes=100).kind == "completed"
    outcome = run_handler(lambda: "x" * 99, max_payload_bytes=100)
    assert (outcome.error_type, outcome.non_retryable) == ("OutputTooLarge", True)
    assert "101" in outcome.message
    assert "100" in outcome.message


def test_retry_later_asks_for_its_delay() -> None:
    """Seconds and timedelta mean the same."""
    for delay in (90.0, timedelta(seconds=90)):
        outcome = raising(RetryLater(delay, "rate limited"))
        assert (outcome.kind, outcome.delay, outcome.non_retryable) == ("failed", 90.0, False)
        assert (outcome.error_type, outcome.message) == ("RetryLater", "rate limited")


def test_reject_makes_a_dead_letter() -> None:
    """The reason is kept for people."""
    outcome = raising(Reject("no such customer"))
    assert (outcome.error_type, outcome.message, outcome.non_retryable) == ("Rejected", "no such customer", True)


def test_a_business_error_carries_code_and_details() -> None:
    """The graph gets what it needs to branch."""
    outcome = raising(BusinessError("NO_STOCK", "sold out", {"sku": 7}))
    assert outcome == HandlerOutcome("business_error", code="NO_STOCK", message="sold out", details={"sku": 7})


@pytest.mark.parametrize("details", ["x" * 70_000, {1, 2}])
def test_business_details_that_do_not_fit_are_left_out(details: Any) -> None:
    """The node still resumes with the code, and the message says what is missing."""
    outcome = raising(BusinessError("NO_STOCK", "sold out", details))
    assert (outcome.code, outcome.details) == ("NO_STOCK", None)
    assert "left out" in outcome.message


def test_release_hands_the_item_back() -> None:
    """With delay and reason."""
    outcome = raising(Release(timedelta(seconds=5), "warming up"))
    assert outcome == HandlerOutcome("released", delay=5.0, reason="warming up")


@pytest.mark.parametrize("make", [lambda: RetryLater(-1), lambda: RetryLater(1e9), lambda: Release(90_000)])
def test_delays_out_of_range_are_refused_where_they_are_made(make: Any) -> None:
    """The traceback points at the handler's line."""
    with pytest.raises(ValueError, match="out of range"):
        make()


def test_any_other_exception_is_a_retryable_failure() -> None:
    """Type, message and traceback of the handler's own frames."""

    def handle() -> None:
        facts: dict[str, int] = {}
        facts["missing"]

    outcome = run_handler(handle)
    assert (outcome.kind, outcome.error_type, outcome.non_retryable) == ("failed", "KeyError", False)
    assert "in handle" in outcome.traceback
    assert "execute_blocking" not in outcome.traceback


def test_system_exit_in_a_handler_is_its_failure_and_not_the_workers_end() -> None:
    """A library that calls `sys.exit` must not take the other items with it."""
    assert raising(SystemExit(3)).error_type == "SystemExit"


def test_texts_are_cut_to_the_limits_of_the_contract() -> None:
    """In bytes of UTF-8, at whole characters, the end of a traceback kept; odd characters are replaced."""

    class StrangeError(Exception):
        def __str__(self) -> str:
            raise ValueError

    report = report_error("t", type("E" * 300, (Exception,), {})("é" * 5000 + "\ud800"))
    assert isinstance(report, lease_pb2.FailReport)
    assert len(report.failure.type) == 256
    assert len(report.failure.message.encode()) == 4096
    assert len(report.failure.traceback.encode()) <= 16 * 1024
    assert raising(StrangeError()).error_type == "StrangeError"


def test_an_owner_of_an_execution_can_report_it_cancelled() -> None:
    """`GraphCancelled` sets the flag and keeps the output."""
    outcome = run_handler(lambda: GraphCancelled({"done": 1}))
    assert (outcome.kind, outcome.cancelled, outcome.output) == ("completed", True, {"done": 1})


def test_a_raw_handler_takes_and_gives_bytes() -> None:
    """Payload and output pass through unchanged."""
    worker = Worker()
    worker.handler("topic", raw=True)(lambda value: value[::-1])
    assert run_handler(worker, b"\x00\xff").output == b"\xff\x00"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", None),
        (b'{"a":1}', {"a": 1}),
        (b" [1, 2] ", [1, 2]),
        (b"3", 3),
        (b"\xff\xfe", b"\xff\xfe"),
        (b"plain text", b"plain text"),
        (b'{"cut', b'{"cut'),
        (b'{"a":1} tail', b'{"a":1} tail'),
        (b'{"input":5}', {"input": 5}),
        (b'{"operatorRef":"A","workerTopic":"t","input":5}', 5),
        (b"[" * 100_000, b"[" * 100_000),
    ],
)
def test_payloads_of_plain_producers_are_taken_as_they_are(payload: bytes, expected: Any) -> None:
    """The envelope gives its input; other JSON is the input; anything else stays bytes."""
    assert decode_payload(payload, raw=False).input == expected
    assert decode_payload(payload, raw=True).input == payload


async def test_handlers_run_on_a_running_loop_too() -> None:
    """`run_handler_async` serves async tests, for every kind of handler."""

    async def handle(value: int) -> int:
        return value + 1

    assert (await run_handler_async(handle, 1)).output == 2
    assert (await run_handler_async(lambda value: value, 1)).output == 1


def test_a_trial_of_an_unknown_operator_says_so() -> None:
    """A typo in a test does not pass as an outcome."""
    worker = Worker()
    worker.handler("topic", operator="A")(lambda: 1)
    with pytest.raises(HandlerError, match="'B'"):
        run_handler(worker, operator_ref="B")
