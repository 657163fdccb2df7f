"""What the end of a handler is reported as."""

import math
from datetime import timedelta
from typing import Any

import pytest

from bloge.remote_workers.v1 import lease_pb2
from bloge_worker import (
    BusinessError,
    GraphCancelled,
    HandlerError,
    Reject,
    Release,
    RetryLater,
    Worker,
)
from bloge_worker._payload import decode_payload
from bloge_worker.outcomes import report_error, report_output
from bloge_worker.testing import HandlerOutcome, run_handler, run_handler_async


def raising(error: BaseException) -> HandlerOutcome:
    """Run a handler that raises."""

    def handle() -> None:
        raise error

    return run_handler(handle)


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


def test_odd_exceptions_are_outcomes_too() -> None:
    """Whatever is raised, the item gets a report and its slot is freed."""

    class OddError(BaseException):
        __cause__ = property(lambda self: 1 / 0)

    assert raising(OddError()).error_type == "OddError"
    assert raising(BusinessError(404)).code == "404"  # type: ignore[arg-type]  # a common slip
    assert raising(Reject(None)).message == "None"  # type: ignore[arg-type]  # a common slip


async def test_odd_exceptions_of_async_handlers_are_outcomes_too() -> None:
    """A task that dies of a BaseException would keep its slot for ever."""

    class OddError(BaseException):
        pass

    async def handle() -> None:
        raise OddError

    assert (await run_handler_async(handle)).error_type == "OddError"


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
