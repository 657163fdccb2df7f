"""Reports on their way in, verdicts and leases on their way out."""

import json

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Verdict
from bloge_server.domain.work_item import Lease
from bloge_server.rpc import reports

TOKEN = LeaseToken("ns", "topic", "a/7/nonce")
DAY_MS = 86_400_000


def failed(**changes: object) -> Fail:
    """Return a failure in the domain's words."""
    failure = work_item_pb2.Failure(**{"type": "Boom", **changes})  # type: ignore[arg-type]  # real fields
    report = reports.fail(pb.FailReport(failure=failure), TOKEN)
    assert isinstance(report, Fail)
    return report


@pytest.mark.parametrize(
    ("wanted", "given_ms"),
    [
        (None, 30_000),
        (Duration(), 1000),
        (Duration(seconds=-5), 1000),
        (Duration(seconds=5), 5000),
        (Duration(seconds=3600), 3_600_000),
        (Duration(seconds=10_000), 3_600_000),
    ],
)
def test_leases_are_clamped(wanted: Duration | None, given_ms: int) -> None:
    """A lease is 1 s to 1 h, and the default if none is wanted."""
    assert reports.clamp_lease_ms(wanted, 30_000) == given_ms


def test_a_heartbeat_without_a_wish_keeps_its_lease() -> None:
    """0 means as long as the claim got; a wish is clamped."""
    assert reports.heartbeat(pb.HeartbeatReport(), TOKEN) == Heartbeat(TOKEN, 0, None)
    wish = pb.HeartbeatReport(lease_duration=Duration(seconds=99_999))
    assert reports.heartbeat(wish, TOKEN).lease_ms == 3_600_000


def test_empty_progress_is_progress() -> None:
    """Present, even if empty, it counts."""
    assert reports.heartbeat(pb.HeartbeatReport(progress=b""), TOKEN).progress == b""


@pytest.mark.parametrize(("size", "kept"), [(65_536, True), (65_537, False)])
def test_progress_that_is_too_large_is_dropped(size: int, kept: bool) -> None:  # noqa: FBT001 - a test's parameter
    """The heartbeat counts all the same."""
    report = reports.heartbeat(pb.HeartbeatReport(progress=b"x" * size), TOKEN)
    assert (report.progress is not None) is kept


def test_an_output_within_the_limit_is_taken() -> None:
    """The limit itself is allowed."""
    report = reports.complete(pb.CompleteReport(output=b"x" * 10), TOKEN, 10)
    assert isinstance(report, Complete)
    assert (report.kind, report.body) == ("complete", b"x" * 10)


def test_an_output_over_the_limit_is_too_large() -> None:
    """The verdict says so; the lease goes on."""
    assert reports.complete(pb.CompleteReport(output=b"x" * 11), TOKEN, 10) == Verdict(Reason.TOO_LARGE)


def test_a_cancelled_execution_is_a_kind_of_its_own() -> None:
    """The same output as cancelled is another report."""
    report = reports.complete(pb.CompleteReport(output=b"x", cancelled=True), TOKEN, 10)
    assert isinstance(report, Complete)
    assert report.kind == "cancelled"


def test_a_failure_reaches_the_store() -> None:
    """Type, message, traceback, whether a retry helps, and when."""
    report = failed(message="m", traceback="t", non_retryable=True, retry_after=Duration(seconds=3))
    assert (report.error_type, report.non_retryable, report.retry_after_ms) == ("Boom", True, 3000)
    assert json.loads(report.failure) == {"type": "Boom", "message": "m", "traceback": "t", "non_retryable": True}
    assert json.loads(failed().failure) == {"type": "Boom", "message": "", "traceback": ""}


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        (None, -1),
        (Duration(), 0),
        (Duration(seconds=-1), 0),
        (Duration(seconds=1), 1000),
        (Duration(seconds=8 * 86_400), 7 * DAY_MS),
    ],
)
def test_a_retry_delay_is_clamped(retry_after: Duration | None, expected: int) -> None:
    """Absent means as the policy says; otherwise 0 to 7 days."""
    assert failed(retry_after=retry_after).retry_after_ms == expected


def test_long_texts_of_a_failure_are_cut() -> None:
    """What people read is bounded: type 256 characters, message 4 KiB, traceback 16 KiB."""
    told = json.loads(failed(type="T" * 300, message="m" * 5000, traceback="t" * 20_000).failure)
    assert (len(told["type"]), len(told["message"]), len(told["traceback"])) == (256, 4096, 16_384)


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_kept_failure_is_one_line_of_ascii(message: str, traceback: str) -> None:
    """The history has one attempt a line, whatever characters a worker sends."""
    kept = failed(message=message, traceback=traceback).failure
    assert kept.isascii()
    assert len(kept.splitlines()) == 1
    assert json.loads(kept)["message"] == message


@pytest.mark.parametrize(
    "report",
    [
        pb.FailReport(),
        pb.FailReport(failure=work_item_pb2.Failure(message="no type")),
        pb.FailReport(business_error=work_item_pb2.BusinessError(message="no code")),
        pb.FailReport(business_error=work_item_pb2.BusinessError(code="c" * 257)),
    ],
)
def test_a_failure_without_type_or_code_is_invalid(report: pb.FailReport) -> None:
    """The verdict says so."""
    assert reports.fail(report, TOKEN) == Verdict(Reason.INVALID_FIELD)


def test_a_business_error_finishes_the_item() -> None:
    """Its message is cut, its details are kept."""
    error = work_item_pb2.BusinessError(code="NO_STOCK", message="m" * 5000, details=b'{"left":0}')
    report = reports.fail(pb.FailReport(business_error=error), TOKEN)
    assert isinstance(report, Complete)
    assert report.kind == "business_error"
    kept = work_item_pb2.BusinessError.FromString(report.body)
    assert (kept.code, len(kept.message), kept.details) == ("NO_STOCK", 4096, b'{"left":0}')


@pytest.mark.parametrize(("size", "verdict"), [(65_536, None), (65_537, Verdict(Reason.TOO_LARGE))])
def test_details_of_a_business_error_are_bounded(size: int, verdict: Verdict | None) -> None:
    """They are data for the graph, so they are never cut."""
    error = work_item_pb2.BusinessError(code="c", details=b"x" * size)
    report = reports.fail(pb.FailReport(business_error=error), TOKEN)
    assert (report if isinstance(report, Verdict) else None) == verdict


def test_equal_reports_have_equal_digests() -> None:
    """The same word twice is the same word; another one is not."""
    assert failed(message="m").digest == failed(message="m").digest
    assert failed(message="m").digest != failed(message="n").digest
    assert failed().digest != failed(retry_after=Duration(seconds=1)).digest


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(Duration(), 0), (Duration(seconds=-1), 0), (Duration(seconds=5), 5000), (Duration(seconds=90_000), DAY_MS)],
)
def test_the_delay_of_a_release_is_clamped(delay: Duration, expected: int) -> None:
    """0 to 1 day."""
    assert reports.release(pb.ReleaseReport(delay=delay), TOKEN).delay_ms == expected


def test_the_reason_of_a_release_is_cut_and_quoted() -> None:
    """It goes into the history as JSON."""
    report = reports.release(pb.ReleaseReport(reason='"' * 300, draining=True), TOKEN)
    assert json.loads(report.reason) == '"' * 256
    assert report.draining


def test_releases_that_ask_for_different_things_differ() -> None:
    """A token that was released at once and then with a delay said two things."""
    at_once = reports.release(pb.ReleaseReport(), TOKEN)
    later = reports.release(pb.ReleaseReport(delay=Duration(seconds=60)), TOKEN)
    assert at_once.digest == reports.release(pb.ReleaseReport(), TOKEN).digest
    assert at_once.digest != later.digest


def test_a_report_without_a_token_gets_its_verdict_in_its_place() -> None:
    """The others are judged by the store."""
    batch = [pb.HeartbeatReport(lease_token=str(TOKEN)), pb.HeartbeatReport(lease_token="nonsense")]
    assert reports.parsed(batch, reports.heartbeat) == [Heartbeat(TOKEN), Verdict(Reason.INVALID_TOKEN)]


def test_a_held_lease_is_asked_for_by_a_heartbeat() -> None:
    """A token that cannot be one is dropped."""
    assert reports.held(str(TOKEN)) == Heartbeat(TOKEN)
    assert reports.held("nonsense") == Verdict(Reason.INVALID_TOKEN)


def test_an_accepted_verdict_says_what_is_new() -> None:
    """Its reason is unspecified."""
    message = reports.verdict(3, Verdict(None, "CLAIMED", lease_ms=1500))
    assert (message.report_id, message.reason, message.status) == (3, 0, work_item_pb2.WORK_ITEM_STATUS_CLAIMED)
    assert message.lease_duration == Duration(seconds=1, nanos=500_000_000)
    assert not message.HasField("retry_delay")


def test_a_refused_verdict_says_why_and_by_whom() -> None:
    """The later claim's worker, how long ago it claimed, and whether the output was kept."""
    refused = Verdict(Reason.SUPERSEDED, "DONE", superseded_by="w2", superseded_ago_ms=250, late_output_kept=True)
    message = reports.verdict(0, refused)
    assert message.reason == Reason.SUPERSEDED.number
    assert (message.superseded_by, message.superseded_ago.nanos, message.late_output_kept) == ("w2", 250_000_000, True)


def test_a_token_that_does_not_allow_it_learns_no_status() -> None:
    """UNSPECIFIED hides whether the item exists."""
    assert reports.verdict(0, Verdict(Reason.INVALID_TOKEN)).status == 0


def test_a_lease_says_all_that_a_worker_needs() -> None:
    """The description comes with its payload; durations, never instants."""
    spec = work_item_pb2.WorkItemSpec(item_id="a", worker_topic="topic", node_id="n").SerializeToString()
    lease = Lease(LeaseToken("ns", "topic", "a/7/n"), spec, b"in", 2, 3, 7, 30_000, 5000, 60_000, b"half", "a")
    message = pb.Lease()
    reports.fill_lease(message, "ns", lease, 20_000)
    assert (message.spec.item_id, message.spec.node_id, message.spec.payload) == ("a", "n", b"in")
    assert (message.attempt, message.claim_count, message.fence, message.namespace) == (2, 3, 7, "ns")
    assert (message.lease_duration.seconds, message.time_remaining.seconds) == (20, 5)
    assert (message.attempt_timeout.seconds, message.progress) == (60, b"half")


def test_a_suspend_deadline_that_is_now_is_told() -> None:
    """No time left is not the same as no deadline."""
    lease = Lease(LeaseToken("ns", "t", "a/7/n"), b"", b"", 1, 1, 7, 30_000, 0, -1, b"", "a")
    message = pb.Lease()
    reports.fill_lease(message, "ns", lease, 30_000)
    assert message.HasField("time_remaining")


def test_a_lease_without_limits_says_nothing_of_them() -> None:
    """No suspend deadline and no attempt timeout are absent, not zero."""
    lease = Lease(LeaseToken("ns", "t", "a/7/n"), b"", b"", 1, 1, 7, 30_000, -1, -1, b"", "a")
    message = pb.Lease()
    reports.fill_lease(message, "ns", lease, 30_000)
    assert not message.HasField("time_remaining")
    assert not message.HasField("attempt_timeout")
