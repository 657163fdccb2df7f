"""What the log says about runs that end badly, or are stopped."""

from typing import Any

import pytest
from unit.worker_sdk.scripted_server import lease_of

from bloge_worker import BusinessError, Reject, Release, RetryLater
from bloge_worker._leases import lone_lease
from bloge_worker._run_log import log_end, log_stop
from bloge_worker._runs import Run, RunServices
from bloge_worker.handlers import Executor, make_handler
from bloge_worker.outcomes import report_error, report_output


def run_of(executor: Executor = "thread") -> Run:
    """Return a run of an item that arrived at 100 s on the worker's clock."""

    async def on_loop() -> None: ...

    function: Any = on_loop if executor == "async" else lambda: None
    return Run(lone_lease(lease_of("a", attempt=3), 100.0), make_handler(function, "topic", executor=executor))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged, from INFO on."""
    caplog.set_level("INFO")
    return caplog


@pytest.mark.parametrize(
    ("executor", "how"),
    [
        ("async", "its coroutine is cancelled"),
        ("thread", "keeps its slot until it returns"),
        ("process", "its process is killed"),
    ],
)
def test_a_stop_says_why_and_how(log: pytest.LogCaptureFixture, executor: Executor, how: str) -> None:
    """An operator sees at once whose fault it was, and what became of the handler."""
    log_stop(run_of(executor), "LEASE_EXPIRED", 127.0)
    text = log.records[0].getMessage()
    assert text.startswith("[topic/a] stopping the handler: LEASE_EXPIRED: its lease ran out")
    assert "for 27 s" in text
    assert text.endswith(how)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("ATTEMPT_TIMEOUT", "it has run for 27 s"),
        ("DEADLINE_PASSED", "the node has gone on without it"),
        ("CANCELLED", "the item was cancelled"),
        ("SUPERSEDED", "a later claim"),
        ("OFFER_WITHDRAWN", "came too late"),
        ("DRAINING", "the worker leaves"),
        ("NOT_FOUND", "the server says so"),
    ],
)
def test_each_reason_is_explained(log: pytest.LogCaptureFixture, reason: str, why: str) -> None:
    """In words, besides the reason's name; the record carries the item's facts."""
    log_stop(run_of(), reason, 127.0)
    assert why in log.records[0].getMessage()
    assert {name: log.records[0].__dict__[name] for name in ("item_id", "worker_topic", "fence", "attempt")} == {
        "item_id": "a",
        "worker_topic": "topic",
        "fence": 1,
        "attempt": 3,
    }


def raised(error: Exception) -> Any:
    """Return the report of an error that a handler raised."""
    return report_error("t", error)


@pytest.mark.parametrize(
    ("report", "level", "text"),
    [
        (raised(ValueError("no such file")), "WARNING", "failed: ValueError: no such file\n"),
        (raised(Reject("broken")), "WARNING", "failed for good, a dead letter: Rejected: broken"),
        (report_output("t", {1}, raw=False, limit=9), "WARNING", "a dead letter: OutputNotSerializable"),
        (report_output("t", "x" * 9, raw=False, limit=9), "WARNING", "a dead letter: OutputTooLarge"),
        (raised(RetryLater(5, "busy")), "INFO", "to be tried again later: busy"),
        (raised(BusinessError("NO_STOCK", "sold out")), "INFO", "business error NO_STOCK: sold out"),
        (raised(Release(reason="not here")), "INFO", "released: not here"),
    ],
)
def test_an_end_without_an_output_is_told(log: pytest.LogCaptureFixture, report: Any, level: str, text: str) -> None:
    """A handler's author sees in the worker's log what the item ended with."""
    log_end(run_of(), report)
    assert log.records[0].levelname == level
    assert text in log.records[0].getMessage()


def test_a_failure_shows_its_traceback(log: pytest.LogCaptureFixture) -> None:
    """The line of the handler that raised is in the log, not only in the item's history."""

    def handle() -> None:
        raise ValueError("odd")

    run = Run(lone_lease(lease_of("a"), 0.0), make_handler(handle, "topic"))
    log_end(run, run.execute_blocking(RunServices(lambda: 0.0, lambda held, details: None, lambda: 1024)))
    lines = log.records[0].getMessage().splitlines()
    assert lines[0] == "[topic/a] failed: ValueError: odd"
    assert lines[1] == "Traceback (most recent call last):"
    assert 'raise ValueError("odd")' in lines[-2]


def test_an_output_and_a_stopped_run_are_told_by_nobody(log: pytest.LogCaptureFixture) -> None:
    """Outputs are the rule; of a run that was stopped the log has spoken."""
    log_end(run_of(), report_output("t", 1, raw=False, limit=9))
    log_end(run_of(), None)
    stopped = run_of()
    stopped.cancellation.cancel("CANCELLED")
    log_end(stopped, raised(ValueError("odd")))
    assert log.records == []
