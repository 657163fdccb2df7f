"""Reports: kept until their verdict, repeated, split into frames, and what is worth reporting at all."""

from typing import Any

import pytest
from unit.worker_sdk.core_driver import CoreDriver, verdict
from unit.worker_sdk.scripted_server import lease_of

from bloge.remote_workers.v1 import error_reason_pb2, lease_pb2, work_stream_pb2
from bloge_worker import BusinessError, Reject, RetryLater
from bloge_worker._leases import HeldLease
from bloge_worker._reports import MAX_FRAME_BYTES, REPEAT_AFTER

FRAME_LIMIT = 3 * 1024 * 1024


def holding(*items: str, **settings: Any) -> tuple[CoreDriver, list[HeldLease]]:
    driver = CoreDriver(**{"slots": max(8, len(items)), **settings})
    driver.connect()
    return driver, driver.offer(*(lease_of(item) for item in items))


def cancel_of(item_id: str, reason: str) -> work_stream_pb2.Cancels:
    number = error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")
    cancel = work_stream_pb2.LeaseCancel(worker_topic="topic", item_id=item_id, fence=1, reason=number)
    return work_stream_pb2.Cancels(cancels=[cancel])


def test_a_report_is_sent_in_the_turn_in_which_its_handler_ends() -> None:
    """Under light load nothing waits for company."""
    driver, (held,) = holding("a")
    driver.complete(held, {"x": 1})
    (report,) = driver.reports("completes")
    assert (report.lease_token, report.output, report.report_id) == (held.token, b'{"x":1}', 1)


def test_reports_of_one_turn_share_a_frame() -> None:
    """All that ended since the last turn goes out at once, whatever its kind."""
    driver, held = holding("a", "b", "c")
    driver.core.finished(held[0], lease_pb2.CompleteReport(lease_token="a"), driver.now)
    driver.core.finished(held[1], lease_pb2.FailReport(lease_token="b"), driver.now)
    driver.core.finished(held[2], lease_pb2.ReleaseReport(lease_token="c"), driver.now)
    driver.turn()
    (frame,) = driver.sent("reports")
    assert [len(getattr(frame, kind)) for kind in ("completes", "fails", "releases")] == [1, 1, 1]


def test_an_accepted_report_is_forgotten() -> None:
    """After its verdict a report is not sent again."""
    driver, (held,) = holding("a")
    driver.complete(held)
    driver.accept(*driver.reports("completes"))
    assert driver.holdings.reports.accepted == 1
    driver.break_stream()
    driver.connect()
    assert driver.reports("completes") == []


def test_a_report_without_a_verdict_is_repeated_on_the_next_session() -> None:
    """The same report, with the same token and content, goes out after Welcome, and so on until it is judged."""
    driver, (held,) = holding("a")
    driver.complete(held)
    first = driver.reports("completes")
    for _ in range(3):
        driver.break_stream()
        driver.connect()
        assert driver.reports("completes") == first
    driver.accept(*first)
    assert driver.holdings.is_empty


def test_a_handler_that_ends_without_a_session_reports_on_the_next() -> None:
    """An outage does not lose finished work, and its slot is free at once."""
    driver, (held,) = holding("a")
    driver.break_stream()
    driver.complete(held)
    assert driver.reports("completes") == []
    driver.connect()
    assert [report.lease_token for report in driver.reports("completes")] == [held.token]
    assert driver.sent("hello") == []
    assert [grant.items_total for grant in driver.sent("credits")] == [8]


def test_a_finished_lease_is_not_named_in_hello() -> None:
    """Only what runs needs its lease; a report speaks for itself."""
    driver, (held,) = holding("a")
    driver.complete(held)
    driver.break_stream()
    driver.turn(0.2)
    assert list(driver.sent("hello")[0].held_lease_tokens) == []


@pytest.mark.parametrize("reason", ["STORE_UNAVAILABLE", "STORE_FULL", "SERVER_DRAINING"])
def test_a_report_that_cannot_be_judged_is_repeated_after_a_while(reason: str) -> None:
    """A store that is away decides nothing: the report is sent again, for as long as it takes."""
    driver, (held,) = holding("a")
    driver.complete(held)
    number = error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}")
    for _ in range(20):
        (report,) = driver.reports("completes")
        driver.judge(verdict(report, number))
        assert driver.reports("completes") == []
        driver.turn(REPEAT_AFTER)
    driver.accept(*driver.reports("completes"))
    assert driver.holdings.is_empty


def test_a_report_that_the_server_always_fails_on_is_given_up() -> None:
    """INTERNAL is a defect that may pass, but not for ever."""
    driver, (held,) = holding("a")
    driver.complete(held)
    tries = 0
    while driver.reports("completes"):
        tries += 1
        driver.judge(verdict(driver.reports("completes")[0], error_reason_pb2.ERROR_REASON_INTERNAL))
        driver.turn(REPEAT_AFTER)
    assert tries == 10
    assert driver.holdings.reports.rejected == 1


@pytest.mark.parametrize("reason", ["SUPERSEDED", "CANCELLED", "CONFLICTING_REPORT", "INVALID_TOKEN", "DEAD_LETTERED"])
def test_a_refused_report_is_final(reason: str) -> None:
    """A verdict about the lease ends the matter."""
    driver, (held,) = holding("a")
    driver.complete(held)
    (report,) = driver.reports("completes")
    driver.judge(verdict(report, error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason}"), superseded_by="other"))
    assert driver.holdings.reports.rejected == 1
    assert driver.holdings.is_empty


def test_an_output_that_the_server_finds_too_large_becomes_a_final_failure() -> None:
    """The refusal decided nothing, so the item is told why it cannot be completed, once."""
    driver, (held,) = holding("a")
    driver.complete(held)
    driver.judge(verdict(driver.reports("completes")[0], error_reason_pb2.ERROR_REASON_TOO_LARGE))
    (failure,) = driver.reports("fails")
    assert failure.lease_token == held.token
    assert failure.failure.non_retryable
    driver.judge(verdict(failure, error_reason_pb2.ERROR_REASON_INVALID_FIELD))
    assert driver.holdings.is_empty


def test_frames_hold_no_more_reports_than_the_server_takes() -> None:
    """Welcome's batch size cuts the reports of a turn into frames."""
    driver = CoreDriver(slots=100)
    driver.connect(max_batch_size=30)
    for held in driver.offer(*(lease_of(f"i{n}") for n in range(100))):
        driver.core.finished(held, lease_pb2.CompleteReport(lease_token=held.token), driver.now)
    driver.turn()
    assert [len(frame.completes) for frame in driver.sent("reports")] == [30, 30, 30, 10]


def test_frames_never_exceed_three_mebibytes() -> None:
    """Outputs of a mebibyte each go out in frames under the limit, every one exactly once."""
    driver, held = holding(*(f"i{n}" for n in range(8)))
    for each in held:
        report = lease_pb2.CompleteReport(lease_token=each.token, output=b"x" * 1024 * 1024)
        driver.core.finished(each, report, driver.now)
    driver.turn()
    sizes = [frame.ByteSize() for _, frame in driver.effects.frames]
    assert max(sizes) <= FRAME_LIMIT
    assert max(sizes) > FRAME_LIMIT // 2
    assert len({report.lease_token for report in driver.reports("completes")}) == 8
    assert MAX_FRAME_BYTES < FRAME_LIMIT


@pytest.mark.parametrize("reason", ["CANCELLED", "NOT_FOUND", "ALREADY_DONE_BY_OTHER"])
def test_work_that_cannot_count_is_not_reported(reason: str) -> None:
    """A handler that did not hear its cancel may still return; the server is not bothered."""
    driver, (held,) = holding("a")
    driver.receive(cancels=cancel_of("a", reason))
    driver.complete(held)
    assert driver.reports("completes") == []


@pytest.mark.parametrize(
    "reason", ["LEASE_EXPIRED", "OFFER_WITHDRAWN", "SUPERSEDED", "DEADLINE_PASSED", "DEAD_LETTERED"]
)
def test_finished_work_is_reported_although_the_lease_is_over(reason: str) -> None:
    """Its output counts if nobody has claimed the item since, and is kept for people if not; a failure helps nobody."""
    driver, (done, broken) = holding("done", "broken")
    for item in ("done", "broken"):
        driver.receive(cancels=cancel_of(item, reason))
    driver.fail(broken, RuntimeError("late"))
    assert driver.reports("fails") == []
    driver.complete(done)
    assert len(driver.reports("completes")) == 1


def test_a_stopped_handler_reports_nothing() -> None:
    """The server knows that it withdrew the lease."""
    driver, (held,) = holding("a")
    driver.receive(cancels=cancel_of("a", "CANCELLED"))
    driver.finish(held, None)
    assert driver.effects.frames == []


def test_progress_goes_out_at_once_and_the_newest_waits_for_the_verdict() -> None:
    """However often a handler reports progress, one message at a time carries the newest."""
    driver, (held,) = holding("a")
    for step in (b"1", b"2"):
        driver.core.progressed(held, step)
    driver.turn()
    (first,) = driver.reports("heartbeats")
    assert first.progress == b"2"
    for step in (b"3", b"4"):
        driver.core.progressed(held, step)
        driver.turn()
        assert driver.reports("heartbeats") == []
    driver.accept(first)
    assert [beat.progress for beat in driver.reports("heartbeats")] == [b"4"]


def test_empty_progress_is_present() -> None:
    """Progress without details still counts as progress."""
    driver, (held,) = holding("a")
    driver.core.progressed(held, b"")
    driver.turn()
    assert driver.reports("heartbeats")[0].HasField("progress")


def test_progress_on_its_way_when_the_session_ends_is_sent_again() -> None:
    """Unless newer progress came, what may not have arrived goes out with the next heartbeat."""
    driver, (held,) = holding("a")
    driver.core.progressed(held, b"half")
    driver.turn()
    driver.break_stream()
    driver.connect(held_leases=[lease_pb2.Verdict()])
    while not (beats := driver.reports("heartbeats")):
        driver.turn(0.25)
    assert [beat.progress for beat in beats] == [b"half"]


def test_progress_precedes_the_failure_of_its_run() -> None:
    """The next attempt finds how far this one came: progress is in an earlier frame than the failure."""
    driver, (held,) = holding("a")
    driver.core.progressed(held, b"half")
    driver.core.finished(held, lease_pb2.FailReport(lease_token=held.token), driver.now)
    driver.turn()
    first, second = driver.sent("reports")
    assert [beat.progress for beat in first.heartbeats] == [b"half"]
    assert len(second.fails) == 1


def test_the_last_progress_does_not_wait_for_the_verdict_on_an_earlier_one() -> None:
    """When the run fails there is no later chance to tell."""
    driver, (held,) = holding("a")
    driver.core.progressed(held, b"1")
    driver.turn()
    driver.core.progressed(held, b"2")
    driver.turn()
    driver.fail(held, RuntimeError())
    first, second = driver.sent("reports")
    assert [beat.progress for beat in first.heartbeats] == [b"2"]
    assert len(second.fails) == 1


def test_progress_on_its_way_to_a_leaving_server_is_told_to_the_next() -> None:
    """The verdict may never come, so the new session hears of it with the next heartbeat."""
    driver, (held,) = holding("a")
    driver.core.progressed(held, b"half")
    driver.turn()
    driver.receive(draining=work_stream_pb2.Draining())
    driver.turn(0.1)
    driver.be_welcomed(held_leases=[lease_pb2.Verdict()])
    while not (beats := driver.reports("heartbeats")):
        driver.turn(0.25)
    assert [beat.progress for beat in beats] == [b"half"]


def test_the_output_limit_leaves_room_for_the_frame() -> None:
    """A server that takes more than fits a frame does not tempt the worker to send it."""
    driver = CoreDriver()
    driver.connect(max_payload_bytes=100 * 1024 * 1024)
    assert 2 * 1024 * 1024 < driver.core.max_payload_bytes < FRAME_LIMIT


def test_runs_are_counted_by_how_they_end() -> None:
    """Outputs and business errors are done, failures and retries failed, a release neither."""
    driver, held = holding("a", "b", "c", "d")
    driver.complete(held[0])
    driver.fail(held[1], BusinessError("NO_STOCK"))
    driver.fail(held[2], Reject("bad"))
    driver.fail(held[3], RetryLater(5.0))
    assert (driver.holdings.done, driver.holdings.failed) == (2, 2)
