"""Handlers in child processes: used again, killed with their lease, mourned when they die."""

import errno
import json
import os
from typing import Any

import pytest
from unit.worker_sdk import process_handlers
from unit.worker_sdk.live_worker import aside, working
from unit.worker_sdk.scripted_server import ScriptedServer, lease_of

from bloge.remote_workers.v1 import work_stream_pb2
from bloge_worker import HandlerError, Worker
from bloge_worker._processes import _context


def cancel(item_id: str) -> dict[str, Any]:
    """Return a frame that cancels an item."""
    one = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id=item_id, fence=1)
    return {"cancels": work_stream_pb2.Cancels(cancels=[one])}


async def test_a_process_runs_items_one_after_another(worker: Worker, server: ScriptedServer) -> None:
    """The child is used again, is not the worker's process, and reports every kind of end."""
    worker.handler("topic", executor="process", concurrency=1)(process_handlers.run)
    async with working(worker, server, max_payload_bytes=500) as session:
        session.offer(lease_of("a", attempt=3, remaining=60.0))
        first = await aside(session.expect_report, "completes")
        session.offer(lease_of("b", payload=b'{"do":"object"}'))
        second = await aside(session.expect_report, "fails")
        session.offer(lease_of("c", payload=b'{"do":"big"}'))
        third = await aside(session.expect_report, "fails")
        session.accept(first, second, third)
    output, details = json.loads(first.output), json.loads(second.business_error.details)
    assert output["pid"] == details["pid"] != os.getpid()
    assert output["attempt"] == 3
    assert 50.0 < output["left"] <= 60.0
    assert third.failure.type == "OutputTooLarge"


async def test_a_process_is_killed_when_its_lease_is_lost(worker: Worker, server: ScriptedServer) -> None:
    """Even a handler that never looks stops at once, and the next item gets a new process."""
    worker.handler("topic", executor="process", concurrency=1)(process_handlers.run)
    async with working(worker, server) as session:
        session.offer(lease_of("a", payload=b'{"do":"hang"}'))
        beat = await aside(session.expect_report, "heartbeats")
        session.accept(beat)
        pid = json.loads(beat.progress)["pid"]
        session.send(**cancel("a"))
        session.offer(lease_of("b"))
        report = await aside(session.expect_report, "completes")
        session.accept(report)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert json.loads(report.output)["pid"] != pid


async def test_a_process_that_dies_is_a_failure(worker: Worker, server: ScriptedServer) -> None:
    """A crash in native code costs the item a retry and the worker nothing."""
    worker.handler("topic", executor="process")(process_handlers.run)
    async with working(worker, server) as session:
        session.offer(lease_of("a", payload=b'{"do":"die"}'))
        report = await aside(session.expect_report, "fails")
        assert (report.failure.type, report.failure.non_retryable) == ("ProcessDied", False)
        assert "signal 9" in report.failure.message
        session.accept(report)


async def test_a_process_that_cannot_be_started_is_a_failure(
    worker: Worker, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may be out of memory; the slot is free again, and the next item has its turn."""
    worker.handler("topic", executor="process", concurrency=1)(process_handlers.run)
    start, refusals = _context.Process.start, iter([OSError(errno.ENOMEM, "Cannot allocate memory")])

    def start_from_the_second_on(process: Any) -> None:
        if (refusal := next(refusals, None)) is not None:
            raise refusal
        start(process)

    monkeypatch.setattr(_context.Process, "start", start_from_the_second_on)
    async with working(worker, server) as session:
        session.offer(lease_of("a"))
        report = await aside(session.expect_report, "fails")
        assert (report.failure.type, report.failure.non_retryable) == ("ProcessNotStarted", False)
        assert "Cannot allocate memory" in report.failure.message
        session.offer(lease_of("b"))
        session.accept(report, await aside(session.expect_report, "completes"))


async def test_what_a_process_logs_is_logged_by_the_worker(
    worker: Worker, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A child has no logging of its own: records cross, with the item's facts, if their level is wanted."""
    caplog.set_level("INFO")
    worker.handler("topic", executor="process")(process_handlers.run)
    async with working(worker, server) as session:
        session.offer(lease_of("a", payload=b'{"do":"log"}', attempt=2))
        session.accept(await aside(session.expect_report, "completes"))
    (record,) = [each for each in caplog.records if each.name == "bloge_worker.handler"]
    assert record.getMessage() == "[topic/a] half way"
    assert (record.__dict__["item_id"], record.__dict__["attempt"]) == ("a", 2)
    assert record.process != os.getpid()
    assert [each for each in caplog.records if each.name == "library"] == []


async def test_progress_of_a_run_that_has_ended_is_not_taken_for_that_of_the_next(
    worker: Worker, server: ScriptedServer
) -> None:
    """A context that outlives its run in a child speaks for nobody any more."""
    worker.handler("topic", executor="process", concurrency=1)(process_handlers.run)
    async with working(worker, server) as session:
        session.offer(lease_of("a", payload=b'{"do":"linger"}'))
        session.accept(await aside(session.expect_report, "completes"))
        session.offer(lease_of("b", payload=b'{"do":"late"}'))
        beat = await aside(session.expect_report, "heartbeats")
        assert json.loads(beat.progress) == {"of": "this run"}
        session.accept(beat, await aside(session.expect_report, "completes"))
        assert not session.reports["heartbeats"]


async def test_a_raw_handler_runs_in_a_process(worker: Worker, server: ScriptedServer) -> None:
    """Bytes cross to the child and back."""
    worker.handler("topic", executor="process", raw=True)(process_handlers.reverse)
    async with working(worker, server) as session:
        session.offer(lease_of(payload=b"\x00\xff"))
        report = await aside(session.expect_report, "completes")
        assert report.output == b"\xff\x00"
        session.accept(report)


async def test_a_handler_for_processes_must_be_importable(worker: Worker) -> None:
    """What a child cannot import is refused when the worker starts."""
    worker.handler("topic", executor="process")(lambda: None)
    with pytest.raises(HandlerError, match="importable by its name"):
        await worker.run()
