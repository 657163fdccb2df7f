"""Reports on their way in and verdicts on their way out."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration

from bloge.remote_workers import tracing
from bloge.remote_workers.errors import Reason
from bloge.remote_workers.v1 import lease_pb2 as pb
from bloge.remote_workers.v1 import work_item_pb2, work_stream_pb2
from bloge_server.dispatch.reporting import Report
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.domain.reports import Complete, Fail, Heartbeat, Release, Verdict
from bloge_server.domain.work_item import Lease
from bloge_server.rpc.fields import milliseconds
from bloge_server.rpc.specs import fill_spec

MIN_LEASE_MS = 1000
MAX_LEASE_MS = 3_600_000
MAX_PROGRESS_BYTES = 65_536
MAX_DETAILS_BYTES = 65_536
_MAX_RETRY_AFTER_MS = 7 * 86_400_000
_MAX_RELEASE_DELAY_MS = 86_400_000
_MESSAGE_CHARS = 4096
_TRACEBACK_CHARS = 16_384
_TYPE_CHARS = 256

INVALID_TOKEN = Verdict(Reason.INVALID_TOKEN)
TOO_LARGE = Verdict(Reason.TOO_LARGE)

_Message = TypeVar("_Message", pb.HeartbeatReport, pb.CompleteReport, pb.FailReport, pb.ReleaseReport)
_STATUSES = {
    name: work_item_pb2.WorkItemStatus.Value(f"WORK_ITEM_STATUS_{name}")
    for name in (
        "READY",
        "CLAIMED",
        "RETRY_WAIT",
        "DONE",
        "DEAD_LETTER",
        "CANCELLED",
    )
}


def clamp_lease_ms(wanted: Duration | None, default_ms: int) -> int:
    """Return the lease that is given for the one that is wanted."""
    if wanted is None:
        return default_ms
    return min(max(milliseconds(wanted), MIN_LEASE_MS), MAX_LEASE_MS)


def duration(ms: int) -> Duration:
    """Return milliseconds as a duration."""
    seconds, rest = divmod(ms, 1000)
    return Duration(seconds=seconds, nanos=rest * 1_000_000)


def heartbeat(report: pb.HeartbeatReport, token: LeaseToken) -> Heartbeat:
    """Return a heartbeat in the domain's words; progress that is too large is dropped, the heartbeat counts."""
    lease_ms = clamp_lease_ms(report.lease_duration, 0) if report.HasField("lease_duration") else 0
    fits = report.HasField("progress") and len(report.progress) <= MAX_PROGRESS_BYTES
    return Heartbeat(token, lease_ms, report.progress if fits else None)


def complete(report: pb.CompleteReport, token: LeaseToken, max_payload_bytes: int) -> Complete | Verdict:
    """Return an output in the domain's words; refused if it is too large."""
    if len(report.output) > max_payload_bytes:
        return TOO_LARGE
    kind = "cancelled" if report.cancelled else "complete"
    return Complete(token, kind, report.output, _digest(report.output))


def fail(report: pb.FailReport, token: LeaseToken) -> Fail | Complete | Verdict:
    """Return a failure in the domain's words; a business error finishes the item. Refused without a type or a code."""
    if report.WhichOneof("cause") == "business_error":
        return _business_error(report.business_error, token)
    failure = report.failure
    if not failure.type:
        return Verdict(Reason.INVALID_FIELD)
    told: dict[str, str | bool] = {
        "type": failure.type[:_TYPE_CHARS],
        "message": failure.message[:_MESSAGE_CHARS],
        "traceback": failure.traceback[:_TRACEBACK_CHARS],
    }
    if failure.non_retryable:
        told["non_retryable"] = True
    retry_after = -1
    if failure.HasField("retry_after"):
        retry_after = min(max(0, milliseconds(failure.retry_after)), _MAX_RETRY_AFTER_MS)
    digest = _digest(failure.SerializeToString(deterministic=True))
    return Fail(token, failure.type[:_TYPE_CHARS], json.dumps(told), failure.non_retryable, retry_after, digest)


def _business_error(error: work_item_pb2.BusinessError, token: LeaseToken) -> Complete | Verdict:
    if not error.code or len(error.code) > _TYPE_CHARS:
        return Verdict(Reason.INVALID_FIELD)
    if len(error.details) > MAX_DETAILS_BYTES:
        return TOO_LARGE
    kept = work_item_pb2.BusinessError(code=error.code, message=error.message[:_MESSAGE_CHARS], details=error.details)
    body = kept.SerializeToString(deterministic=True)
    return Complete(token, "business_error", body, _digest(body))


def release(report: pb.ReleaseReport, token: LeaseToken) -> Release:
    """Return a release in the domain's words."""
    delay = min(max(0, milliseconds(report.delay)), _MAX_RELEASE_DELAY_MS)
    return Release(token, delay, json.dumps(report.reason[:_TYPE_CHARS]), report.draining, str(delay))


def held(lease_token: str) -> Report | Verdict:
    """Return the heartbeat that asks whether a lease from before a reconnect still stands."""
    token = LeaseToken.parse(lease_token)
    return INVALID_TOKEN if token is None else Heartbeat(token)


def parsed(
    reports: Iterable[_Message], parse: Callable[[_Message, LeaseToken], Report | Verdict]
) -> list[Report | Verdict]:
    """Return reports in the domain's words, or the verdict on those that need no judging."""
    tokens = ((report, LeaseToken.parse(report.lease_token)) for report in reports)
    return [INVALID_TOKEN if token is None else parse(report, token) for report, token in tokens]


def verdict(report_id: int, verdict: Verdict) -> pb.Verdict:
    """Return a verdict in the wire's words."""
    message = pb.Verdict()
    _fill_verdict(message, report_id, verdict)
    return message


def fill_verdicts(message: work_stream_pb2.Verdicts, ids: Iterable[int], verdicts: Iterable[Verdict]) -> None:
    """Write the verdicts on the reports of these ids into an empty message."""
    add = message.verdicts.add
    for report_id, verdict in zip(ids, verdicts, strict=True):
        _fill_verdict(add(), report_id, verdict)


def _fill_verdict(message: pb.Verdict, report_id: int, verdict: Verdict) -> None:
    message.report_id = report_id
    if verdict.reason is not None:
        message.reason = verdict.reason.number
        message.superseded_by = verdict.superseded_by
        message.late_output_kept = verdict.late_output_kept
    if verdict.status:
        message.status = _STATUSES[verdict.status]
    if verdict.lease_ms is not None:
        message.lease_duration.CopyFrom(duration(verdict.lease_ms))
    if verdict.retry_ms is not None:
        message.retry_delay.CopyFrom(duration(verdict.retry_ms))
    if verdict.cancel_requested:
        message.cancel_requested = True
    if verdict.superseded_ago_ms is not None:
        message.superseded_ago.CopyFrom(duration(verdict.superseded_ago_ms))


def fill_lease(message: pb.Lease, namespace: str, lease: Lease, full_lease_ms: int) -> None:
    """Write a lease into an empty message. Filling in place costs a third of what building and copying does.

    Args:
        message: where to write.
        namespace: the item's.
        lease: the claimed item.
        full_lease_ms: what to say the lease lasts: for an offer what its receipt will give.
    """
    message.lease_token = "/".join(lease.token)
    message.attempt = lease.attempt
    message.claim_count = lease.claim_count
    message.fence = lease.fence
    message.namespace = namespace
    spec = message.spec
    fill_spec(spec, lease.spec, lease.token.worker_topic, lease.item_id, lease.payload)
    _fill_duration(message.lease_duration, full_lease_ms)
    if lease.progress:
        message.progress = lease.progress
    if lease.remaining_ms >= 0:
        _fill_duration(message.time_remaining, lease.remaining_ms)
    if lease.attempt_timeout_ms >= 0:
        _fill_duration(message.attempt_timeout, lease.attempt_timeout_ms)
    if tracing.INSTALLED and spec.HasField("trace_context"):
        _trace_claim(message)


def _trace_claim(lease: pb.Lease) -> None:
    """Record the claim in the item's trace, and have what the worker records come below it."""
    spec = lease.spec
    if not tracing.is_traced(spec.trace_context):
        return
    facts = tracing.item_attributes(lease.namespace, spec)
    facts |= {"bloge.attempt": lease.attempt, "bloge.fence": lease.fence}
    name = f"claim {spec.worker_topic}"
    span = tracing.begin("bloge_server", name, "INTERNAL", parent=spec.trace_context, attributes=facts)
    if (below := tracing.traced_by(span)) is not None:
        spec.trace_context.CopyFrom(below)
    span.end()


def _fill_duration(message: Duration, ms: int) -> None:
    seconds, rest = divmod(ms, 1000)
    message.seconds = seconds
    message.nanos = rest * 1_000_000


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()
