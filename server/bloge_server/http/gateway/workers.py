"""`/remote-workers`: what a worker says and asks."""

from datetime import timedelta

from bloge.remote_workers.errors import Reason, RemoteWorkersError
from bloge.remote_workers.v1 import lease_pb2
from bloge.remote_workers.v1 import worker_service_pb2 as pb
from bloge_server.domain.lease_token import LeaseToken
from bloge_server.http.gateway import views
from bloge_server.http.gateway.bodies import (
    CompleteBody,
    FailBody,
    HeartbeatBody,
    LeaseBody,
    PollBody,
    RegisterBody,
    ReleaseBody,
    ReportBody,
)
from bloge_server.http.gateway.calls import Calls
from bloge_server.http.gateway.endpoints import Answer, Call, Endpoint
from bloge_server.http.gateway.replies import Job, Registered
from bloge_server.http.gateway.values import ItemId, to_json, to_wire

_TAG = "remote workers"
_SDK = "http-gateway"
_LONGEST = timedelta(days=36_500)
"""Longer than any limit of the server, which tells it."""


class WorkerEndpoints:
    """Register, poll, heartbeat, complete, fail and release.

    Args:
        calls: what carries them out.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints."""
        item = "/remote-workers/items/{itemId}"
        return [
            Endpoint("POST", "/remote-workers/register", _TAG, self.register, {200: Registered}, body=RegisterBody,
                     headers={"X-Tenant-Id": "Given back as it is."}),
            Endpoint("POST", "/remote-workers/{workerTopic}/poll", _TAG, self.poll, {200: list[Job]}, body=PollBody),
            Endpoint("POST", f"{item}/heartbeat", _TAG, self.heartbeat, {200: Job}, (409,), HeartbeatBody),
            Endpoint("POST", f"{item}/complete", _TAG, self.complete, {204: None}, (409, 413), CompleteBody),
            Endpoint("POST", f"{item}/fail", _TAG, self.fail, {204: None}, (409,), FailBody),
            Endpoint("POST", f"{item}/release", _TAG, self.release, {204: None}, (409,), ReleaseBody),
        ]  # fmt: skip

    async def register(self, call: Call) -> Answer:
        """Announce a worker, so that people see it. Optional: polling does it too."""
        body: RegisterBody = call.body
        request = pb.RegisterRequest(
            namespace=call.namespace, worker_id=body.worker_id, worker_topics=[body.worker_topic], sdk=_SDK
        )
        await self._calls.Register(request)
        registered = Registered(
            worker_id=body.worker_id,
            worker_topic=body.worker_topic,
            tenant_id=call.headers.get("X-Tenant-Id"),
            namespace=call.namespace,
            assignments=[],
        )
        return Answer(200, registered)

    async def poll(self, call: Call) -> Answer:
        """Claim jobs of a topic, waiting for the first if asked to. No jobs is a normal answer."""
        body: PollBody = call.body
        request = pb.ClaimRequest(
            namespace=call.namespace,
            worker_topic=call.path["workerTopic"],
            worker_id=body.worker_id,
            max_items=body.capped_limit,
            lease_duration=to_wire(min(body.lease_duration, _LONGEST)),
            wait_timeout=to_wire(min(body.wait_timeout, _LONGEST)),
            request_id=body.request_id or "",
        )
        claimed = await self._calls.Claim(request)
        ids = [lease.spec.item_id for lease in claimed.leases]
        items = await self._calls.read_items(call.namespace, call.path["workerTopic"], ids)
        pairs = zip(claimed.leases, items, strict=True)
        jobs = [views.job(item, lease.lease_token) for lease, item in pairs if item is not None]
        return Answer(200, [*jobs], {"X-Worker-Draining": "true"} if claimed.draining else None)

    async def heartbeat(self, call: Call) -> Answer:
        """Extend a lease: it then ends the given time from now, never sooner than before."""
        body: HeartbeatBody = call.body
        item_id, token = _held(call, body)
        report = lease_pb2.HeartbeatReport(
            lease_token=body.lease_token,
            lease_duration=to_wire(min(body.lease_duration, _LONGEST)),
            progress=None if body.progress is None else to_json(body.progress),
        )
        (verdict,) = (await self._calls.Heartbeat(pb.HeartbeatRequest(reports=[report]))).verdicts
        _check(verdict)
        (item,) = await self._calls.read_items(token.namespace, *_topic_and_ids(item_id))
        if item is None:
            raise RemoteWorkersError(Reason.NOT_FOUND, f"there is no work item {item_id}")
        return Answer(200, views.job(item, body.lease_token))

    async def complete(self, call: Call) -> Answer:
        """Report an output. The same report again is accepted again; a different one is a conflict."""
        body: CompleteBody = call.body
        _held(call, body)
        report = lease_pb2.CompleteReport(lease_token=body.lease_token, output=to_json(body.output))
        _check((await self._calls.Complete(pb.CompleteRequest(reports=[report]))).verdicts[0])
        return Answer(204)

    async def fail(self, call: Call) -> Answer:
        """Report a failure. The job is retried within its budget, then it is a dead letter."""
        body: FailBody = call.body
        _held(call, body)
        report = lease_pb2.FailReport(lease_token=body.lease_token)
        failure = report.failure
        failure.type, failure.message, failure.traceback = body.error_type, body.error, body.traceback
        failure.non_retryable = body.non_retryable
        if body.retry_after is not None:
            failure.retry_after.CopyFrom(to_wire(min(body.retry_after, _LONGEST)))
        _check((await self._calls.Fail(pb.FailRequest(reports=[report]))).verdicts[0])
        return Answer(204)

    async def release(self, call: Call) -> Answer:
        """Hand a job back unfinished, at no cost of an attempt."""
        body: ReleaseBody = call.body
        _held(call, body)
        report = lease_pb2.ReleaseReport(
            lease_token=body.lease_token,
            delay=to_wire(min(body.delay, _LONGEST)),
            reason=body.reason,
            draining=body.draining,
        )
        _check((await self._calls.Release(pb.ReleaseRequest(reports=[report]))).verdicts[0])
        return Answer(204)


def _topic_and_ids(item_id: ItemId) -> tuple[str, list[str]]:
    return item_id.worker_topic, [item_id.item_id]


def _held(call: Call, body: LeaseBody) -> tuple[ItemId, LeaseToken]:
    """Return item and lease that a report is about.

    Raises:
        RemoteWorkersError: INVALID_FIELD, or INVALID_TOKEN if lease, path and revision do not belong together.
    """
    item_id = ItemId.parse(call.path["itemId"])
    token = LeaseToken.parse(body.lease_token)
    if token is None or (token.worker_topic, token.item_id) != item_id:
        raise RemoteWorkersError(Reason.INVALID_TOKEN, f"leaseToken is not the claimToken of a job {item_id}")
    if isinstance(body, ReportBody) and str(body.expected_revision) != token.fence:
        message = f"expectedRevision is {body.expected_revision}, but the lease is of revision {token.fence}"
        raise RemoteWorkersError(Reason.INVALID_TOKEN, message)
    return item_id, token


def _check(verdict: lease_pb2.Verdict) -> None:
    """Return if a report was accepted.

    Raises:
        RemoteWorkersError: why not.
    """
    reason = Reason.from_number(verdict.reason)
    if reason is None:
        return
    message = f"the report was refused: {reason}"
    if verdict.superseded_by:
        message += f"; worker {verdict.superseded_by} has claimed the job since"
    if verdict.late_output_kept:
        message += "; the output is kept with the item for people to see"
    raise RemoteWorkersError(reason, message)
